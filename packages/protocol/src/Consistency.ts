/**
 * Consistency levels and their codes (native_protocol_v4.spec section 3, `[consistency]`).
 *
 * @since 0.1.0
 */
import { DecodeError, EncodeError } from "./ProtocolError.ts"

const CODES = {
  ANY: 0x0000,
  ONE: 0x0001,
  TWO: 0x0002,
  THREE: 0x0003,
  QUORUM: 0x0004,
  ALL: 0x0005,
  LOCAL_QUORUM: 0x0006,
  EACH_QUORUM: 0x0007,
  SERIAL: 0x0008,
  LOCAL_SERIAL: 0x0009,
  LOCAL_ONE: 0x000a
} as const

/**
 * How many replicas must answer. `SERIAL` and `LOCAL_SERIAL` are levels of conditional statements and of reads that see
 * their unfinished business.
 *
 * @category models
 * @since 0.1.0
 */
export type Consistency = keyof typeof CODES

/**
 * The levels that a conditional statement's Paxos phase takes.
 *
 * @category models
 * @since 0.1.0
 */
export type SerialConsistency = "SERIAL" | "LOCAL_SERIAL"

const NAMES = Object.keys(CODES) as Array<Consistency>

/**
 * The code of a level on the wire. Throws `EncodeError` for a text that names no level, such as one in lower case: taken as
 * it is, it would be written as ANY.
 *
 * @category encoding
 * @since 0.1.0
 */
export const toCode = (consistency: Consistency): number => {
  if (isConsistency(consistency)) return CODES[consistency]
  throw new EncodeError({
    message: `the consistency is ${String(consistency)}, expected one of ${NAMES.join(", ")}`,
    path: "",
    cqlType: ""
  })
}

/**
 * Throws `DecodeError` for a code that no level has.
 *
 * @category decoding
 * @since 0.1.0
 */
export const fromCode = (code: number): Consistency => {
  const name = NAMES[code]
  if (name === undefined) throw new DecodeError({ message: `Unknown code ${code} for a consistency level` })
  return name
}

/**
 * Whether a text names a consistency level.
 *
 * @category guards
 * @since 0.1.0
 */
export const isConsistency = (text: string): text is Consistency => Object.hasOwn(CODES, text)

/**
 * Whether the level is one of the serial ones.
 *
 * @category guards
 * @since 0.1.0
 */
export const isSerial = (consistency: Consistency): consistency is SerialConsistency =>
  consistency === "SERIAL" || consistency === "LOCAL_SERIAL"
