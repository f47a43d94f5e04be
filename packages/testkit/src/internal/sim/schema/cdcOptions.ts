/** What `cdc = {…}` of a table of ScyllaDB asks for. */
import { config, internal } from "../failure.ts"
import type { Property } from "../parse/ast.ts"

export interface CdcOptions {
  readonly enabled: boolean
  /** The row as it was: what is changed of it, or all. */
  readonly preimage: "off" | "changed" | "full"
  /** The row as it is then. */
  readonly postimage: boolean
  /** Whether the changes themselves are written down, or only the keys. */
  readonly delta: "full" | "keys"
  /** Seconds that entries are kept; 0 for ever. */
  readonly ttl: number
}

export const NAMES = ["delta", "enabled", "postimage", "preimage", "ttl"]

const wrong = (key: string, value: string): Error => config(`Invalid value for CDC option "${key}": ${value}`)

const flagOf = (key: string, value: string): boolean => {
  const text = value.toLowerCase()
  if (text === "true" || text === "1") return true
  if (text === "false" || text === "0") return false
  throw wrong(key, value)
}

const preimageOf = (value: string): CdcOptions["preimage"] =>
  value.toLowerCase() === "full" ? "full" : flagOf("preimage", value) ? "changed" : "off"

/** The options that are given, with those that are not; throws for what is none. */
export const cdcOptionsOf = (given: Property | undefined): CdcOptions => {
  if (typeof given === "string") throw internal("Cannot create cdc info from string")
  const entries = given ?? new Map<string, string>()
  for (const [key, value] of entries) {
    if (!NAMES.includes(key)) throw config(`Invalid CDC option: ${key}`)
    if (key === "delta" && value !== "full" && value !== "keys") throw wrong(key, value)
    if (key === "ttl" && !/^\d{1,10}$/.test(value)) throw wrong(key, value)
  }
  const text = (key: string, preset: string): string => entries.get(key) ?? preset
  return {
    enabled: flagOf("enabled", text("enabled", "false")),
    preimage: preimageOf(text("preimage", "false")),
    postimage: flagOf("postimage", text("postimage", "false")),
    delta: text("delta", "full") as CdcOptions["delta"],
    ttl: Number(text("ttl", "86400"))
  }
}

/** The options as schema tables show them. */
export const cdcText = ({ delta, enabled, postimage, preimage, ttl }: CdcOptions): ReadonlyMap<string, string> =>
  new Map([
    ["delta", delta],
    ["enabled", String(enabled)],
    ["postimage", String(postimage)],
    ["preimage", preimage === "full" ? "full" : String(preimage === "changed")],
    ["ttl", String(ttl)]
  ])
