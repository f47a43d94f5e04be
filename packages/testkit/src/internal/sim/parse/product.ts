/** Whose language it is. */
export type Product = "scylla" | "cassandra"
