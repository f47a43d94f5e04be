import { addressOf } from "./hosts.ts"

type Coordinator = Parameters<typeof addressOf>[0]

/** Who has answered: the name of the node, and the hosts that were tried where it was the first. */
export interface Answerer {
  readonly coordinator: Coordinator
  readonly address: string
  readonly alone: Readonly<Record<string, null>>
}

/** Nodes that answer most of the time; of larger clusters those that did lately. */
const KEPT = 16

/** What results say of their nodes, put together once for each: texts made anew cost more than all the rest of a result. */
export class Answerers {
  private readonly known: Array<Answerer> = []
  private next = 0

  of(coordinator: Coordinator): Answerer {
    const { known } = this
    for (let i = 0; i < known.length; i++) {
      const answerer = known[i]!
      if (answerer.coordinator === coordinator) return answerer
    }
    const address = addressOf(coordinator)
    const answerer = { coordinator, address, alone: { [address]: null } }
    known[this.next++ % KEPT] = answerer
    return answerer
  }
}
