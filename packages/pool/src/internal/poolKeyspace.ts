import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type { Connection } from "../Connection.ts"
import type { PoolError } from "../PoolError.ts"

/** Whose keyspace it is. */
export interface Connections {
  readonly all: ReadonlyArray<Connection>
}

/** The keyspace of a pool: what its connections have, and those that come get. */
export class PoolKeyspace {
  /** To be set on connections that come. */
  wanted: string | undefined
  /** The last one that a connection has taken: it exists. */
  private taken: string | undefined
  private readonly connections: Connections
  private readonly replace: (connection: Connection) => void

  constructor(initial: string | undefined, connections: Connections, replace: (connection: Connection) => void) {
    this.wanted = initial
    this.taken = initial
    this.connections = connections
    this.replace = replace
  }

  /** The connection came with it. */
  adopted(connection: Connection): void {
    this.taken = connection.keyspace
  }

  /** Sets it on all of them; fails when none has taken it. One that has not, where others have, is replaced. */
  use(name: string, timeoutMillis: number): Effect.Effect<void, PoolError> {
    return Effect.suspend(() => {
      this.wanted = name
      return Effect.forEach(
        this.connections.all,
        (connection) => Effect.result(connection.useKeyspace(name, timeoutMillis)),
        { concurrency: "unbounded" }
      ).pipe(Effect.flatMap((results) => {
        const failure = results.find(Result.isFailure)
        if (results.some(Result.isSuccess)) this.taken = name
        else if (failure !== undefined) {
          // Nobody knows it: it is not what was set before that is wrong.
          if (this.wanted === name) this.wanted = this.taken
          return Effect.fail(failure.failure)
        }
        // Where another one is wanted by now, that switch sees to it.
        if (failure !== undefined && this.wanted === name) {
          for (const connection of this.connections.all) if (connection.keyspace !== name) this.replace(connection)
        }
        return Effect.void
      }))
    })
  }
}
