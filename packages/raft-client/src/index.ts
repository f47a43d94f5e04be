/** Raft client. */
export {}
