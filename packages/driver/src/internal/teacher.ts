import * as Background from "@effect-scylla/pool/Background"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import type { Prepared } from "../Prepared.ts"
import type { Node } from "../Snapshot.ts"

/** Jobs that are remembered; what is past it is taught on the way, when a request gets there. */
const JOBS = 8_192
/** Milliseconds between two PREPAREs: at most a hundred a second of a client. */
const PAUSE = 10

/** A statement for a node that may not know it. */
interface Job {
  readonly prepared: Prepared
  readonly node: Node
}

/** Prepares statements on nodes before requests get there: in the background, one after the other, at a limited rate. */
export class Teacher {
  private readonly jobs: Queue.Queue<Job>

  constructor(jobs: Queue.Queue<Job>) {
    this.jobs = jobs
  }

  add(prepared: Prepared, node: Node): void {
    if (!prepared.knownBy.has(node.hostId)) Queue.offerUnsafe(this.jobs, { prepared, node })
  }

  /** One whose work is done by `teach` and ends with the scope. */
  static make(
    teach: (node: Node, prepared: Prepared) => Effect.Effect<void>
  ): Effect.Effect<Teacher, never, Scope.Scope> {
    return Effect.gen(function*() {
      const jobs = yield* Queue.dropping<Job>(JOBS)
      const step = Effect.gen(function*() {
        const { node, prepared } = yield* Queue.take(jobs)
        if (prepared.knownBy.has(node.hostId)) return
        yield* teach(node, prepared)
        yield* Effect.sleep(PAUSE)
      })
      yield* Effect.forkScoped(Background.run(Effect.forever(step)))
      return new Teacher(jobs)
    })
  }
}
