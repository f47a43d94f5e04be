/** The declarations of `cassandra-driver`, whose `Client` is another one: see the README for what each option means here. */
import type * as Theirs from "cassandra-driver"

export * from "cassandra-driver"

/** What this package has besides the options of `cassandra-driver`. */
export interface CompatOptions {
  /**
   * Retry policies may have a write sent again that may have been applied and is not idempotent, as `cassandra-driver` has it for
   * "unavailable". Default false: such a write is never sent twice, whatever a policy says.
   */
  readonly unsafeRetries?: boolean | undefined
  /** How frames are compressed, where the server offers it. Default none. */
  readonly compression?: "none" | "lz4" | "snappy" | undefined
}

/** The options of a client. */
export interface ClientOptions extends Theirs.DseClientOptions {
  compat?: CompatOptions | undefined
}

/** The client. */
export class Client extends Theirs.Client {
  constructor(options: ClientOptions)
}
