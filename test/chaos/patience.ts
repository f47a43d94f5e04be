/**
 * A clock that has patience for so many questions in one turn of the event loop: whoever goes round and round waiting for time to pass
 * holds up everybody, and under a test clock for ever.
 */
import type { Clock } from "effect"

const QUESTIONS = 20_000

/** A clock like the other one. It throws in the midst of such a loop, which so becomes a defect of its request. */
export const patient = (clock: Clock.Clock): Clock.Clock => {
  let asked = 0
  let isCounting = false
  const ask = <A>(answer: () => A) => (): A => {
    if (!isCounting) {
      isCounting = true
      setImmediate(() => {
        isCounting = false
        asked = 0
      })
    }
    if (++asked > QUESTIONS) {
      asked = 0
      throw new Error("the event loop is held up: the clock was asked again and again in one turn")
    }
    return answer()
  }
  return Object.assign(Object.create(clock) as Clock.Clock, {
    currentTimeMillisUnsafe: ask(() => clock.currentTimeMillisUnsafe()),
    currentTimeNanosUnsafe: ask(() => clock.currentTimeNanosUnsafe()),
    monotonicTimeNanosUnsafe: ask(() => clock.monotonicTimeNanosUnsafe())
  })
}
