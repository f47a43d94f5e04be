import { Writer } from "@effect-scylla/protocol/Writer"

/** Output buffers larger than this are let go of after a flush, and so are more than a few. */
export const KEEP_OUTPUT = 1024 * 1024
export const KEEP_OUTPUTS = 4
const INITIAL_OUTPUT = 16 * 1024
/** What no output buffer exceeds: the limit on waiting output, and one frame that was taken below it. */
export const MAX_OUTPUT = 1024 * 1024 * 1024

/** An output buffer, and what to do when the socket is done with it. */
export class Output extends Writer {
  /** Set to where the frame under way may end. */
  declare limit: number
  readonly done: () => void
  constructor(done: (output: Output) => void) {
    super(INITIAL_OUTPUT, MAX_OUTPUT)
    this.done = () => done(this)
  }
}
