const rounds = 9

let consumed = 0
/** Keeps the engine from leaving out work whose result nobody reads. */
const consume = (value: number): void => {
  consumed ^= value
}

/** Median CPU nanoseconds of one iteration; `loop` runs `iterations` of them and returns something made of every result. */
export const measure = (iterations: number, loop: (iterations: number) => number): number => {
  // The first runs let the engine compile the loop.
  for (let i = 0; i < 4; i++) consume(loop(iterations))
  const results: Array<number> = []
  for (let round = 0; round < rounds; round++) {
    // CPU time of this thread, in microseconds: neighbours on the machine count less than with a wall clock.
    const start = process.threadCpuUsage()
    consume(loop(iterations))
    const { system, user } = process.threadCpuUsage(start)
    results.push(((system + user) * 1000) / iterations)
  }
  return results.sort((a, b) => a - b)[rounds >> 1]!
}

/** Bytes of heap for each iteration; a collection in between counts as nothing, so give it a loop that is short. */
export const allocated = (iterations: number, loop: (iterations: number) => number): number => {
  consume(loop(iterations))
  const before = process.memoryUsage().heapUsed
  consume(loop(iterations))
  return Math.max(0, process.memoryUsage().heapUsed - before) / iterations
}
