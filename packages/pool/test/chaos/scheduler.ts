import type { Fiber } from "effect"
import type * as Scheduler from "effect/Scheduler"
import type { Random } from "../../../../test/support/random.ts"

/** What one dispatcher has to run, in order. */
interface Queue {
  readonly tasks: Array<() => void>
  /** Of them, those that belong to the turn under way. */
  due: number
}

/**
 * Runs what is scheduled in an order drawn from a seed: dispatchers (fibers, sockets, the ticker) come in any order, the
 * tasks of each one in theirs. One setImmediate for each turn, as the live scheduler has it.
 */
export class SeededScheduler implements Scheduler.Scheduler {
  readonly executionMode = "async"
  private readonly random: Random
  private readonly queues: Array<Queue> = []
  private scheduled = false
  /** Tasks that have not run. */
  pending = 0

  constructor(random: Random) {
    this.random = random
  }

  shouldYield(fiber: Fiber.Fiber<unknown, unknown>): boolean {
    return fiber.currentOpCount >= fiber.cache.maxOpsBeforeYield
  }

  makeDispatcher(): Scheduler.SchedulerDispatcher {
    const queue: Queue = { tasks: [], due: 0 }
    return {
      scheduleTask: (task) => {
        this.pending++
        queue.tasks.push(task)
        if (queue.tasks.length === 1) this.queues.push(queue)
        if (this.scheduled) return
        this.scheduled = true
        setImmediate(() => this.turn())
      },
      flush: () => {
        while (this.scheduled) this.turn()
      }
    }
  }

  private turn(): void {
    this.scheduled = false
    const ready = this.queues.splice(0)
    for (const queue of ready) queue.due = queue.tasks.length
    while (ready.length > 0) {
      const at = this.random.below(ready.length)
      const queue = ready[at]!
      queue.due--
      this.pending--
      queue.tasks.shift()!()
      if (queue.due > 0) continue
      ready[at] = ready.at(-1)!
      ready.pop()
      // What was scheduled meanwhile is the next turn's.
      if (queue.tasks.length > 0) this.later(queue)
    }
  }

  private later(queue: Queue): void {
    if (!this.queues.includes(queue)) this.queues.push(queue)
    if (this.scheduled) return
    this.scheduled = true
    setImmediate(() => this.turn())
  }
}
