/** Where ours differs, and why; a case that does not differ any more may not stay here. */
export interface Difference {
  readonly why: string
  /** Nodes of ScyllaDB do not speak v5: there is no difference there. */
  readonly isOfV5?: true
}

export const DIFFERENCES: ReadonlyMap<string, Difference> = new Map<string, Difference>([
  ["forms: shutdown while it connects", {
    why: "cassandra-driver answers at once, connects all the same, and holds the process for ever; ours is shut down"
  }],
  ["options: values that are none", {
    why:
      "an ArgumentError that names the option, instead of what Buffer throws, what a server answers, or a write at time 0"
  }],
  ["options: another keyspace for names without one", {
    why: "its manual has it from v5 on, which cassandra-driver speaks with DSE alone",
    isOfV5: true
  }],
  ["options: another keyspace for a batch", {
    why: "its manual has it from v5 on, which cassandra-driver speaks with DSE alone",
    isOfV5: true
  }],
  ["balancing: all nodes are ignored", {
    why: "no node is dialled then, not even for the control connection: the errors of those that were not are told"
  }],
  ["metrics: a statement that cannot be prepared", {
    why: "it is counted as an error, as one that is not prepared"
  }],
  ["batch: too many values, prepared", {
    why: "what the server says of it, as with execute, instead of a property of undefined"
  }],
  ["pages: a table that is dropped between", {
    why: "what the server says when it prepares the statement again, instead of NoHostAvailableError"
  }]
])
