/** What Alternator does when it enforces authorization, written from its rules and not from a signer of ours. */
import { createHash, createHmac } from "node:crypto"
import type { IncomingHttpHeaders } from "node:http"

export interface Refusal {
  readonly type: string
  readonly message: string
}

const refuse = (type: string, message: string): Refusal => ({ type, message })
const hmac = (key: string | Buffer, text: string): Buffer => createHmac("sha256", key).update(text, "utf8").digest()
const hex = (data: string | Uint8Array): string => createHash("sha256").update(data).digest("hex")

const CLOCK_WINDOW_MILLIS = 15 * 60_000

const timeOf = (date: string): number => {
  const match = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(date)
  if (match === null) return Number.NaN
  const [year, month, day, hour, minute, second] = match.slice(1).map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number
  ]
  return Date.UTC(year, month - 1, day, hour, minute, second)
}

/** Why a `POST /` is refused; none when it is taken. `body` as it arrived, compressed or not. */
export const verify = (
  headers: IncomingHttpHeaders,
  body: Uint8Array,
  secrets: Readonly<Record<string, string>>,
  now: number
): Refusal | undefined => {
  const { authorization, host } = headers
  if (authorization === undefined) {
    return refuse("MissingAuthenticationTokenException", "Authorization header is mandatory")
  }
  if (host === undefined) {
    return refuse("InvalidSignatureException", "Host header is mandatory for signature verification")
  }
  const match = /^AWS4-HMAC-SHA256 Credential=([^,]+), ?SignedHeaders=([^,]+), ?Signature=([0-9a-f]{64})$/.exec(
    authorization
  )
  if (match === null) {
    return refuse("InvalidSignatureException", `cannot parse the Authorization header ${authorization}`)
  }
  const [, credential, signedHeaders, signature] = match as unknown as [string, string, string, string]
  const [user, day, region, service, end] = credential.split("/")
  if (end !== "aws4_request") return refuse("InvalidSignatureException", `incorrect credential ${credential}`)
  const names = signedHeaders.split(";")
  if (!names.includes("x-amz-date")) return refuse("InvalidSignatureException", "X-Amz-Date header is mandatory")
  if (!names.includes("host")) return refuse("InvalidSignatureException", "Host must be signed")
  const date = String(headers["x-amz-date"] ?? "")
  const time = timeOf(date)
  if (!date.startsWith(day!)) return refuse("InvalidSignatureException", `X-Amz-Date ${date} is not of the day ${day}`)
  if (!(Math.abs(time - now) <= CLOCK_WINDOW_MILLIS)) {
    return refuse(
      "InvalidSignatureException",
      `Signature ${time < now ? "expired" : "not yet current"}: ${date} is more than 15 minutes away`
    )
  }
  const secret = secrets[user!]
  if (secret === undefined) return refuse("UnrecognizedClientException", `User ${user} not found`)
  const canonicalHeaders = names.map((name) => {
    const value = headers[name]
    return `${name}:${(Array.isArray(value) ? value.join(",") : value ?? "").trim().replace(/ +/g, " ")}\n`
  })
  const canonical = ["POST", "/", "", canonicalHeaders.join(""), signedHeaders, hex(body)].join("\n")
  const scope = [day, region, service, "aws4_request"].join("/")
  const key = hmac(hmac(hmac(hmac(`AWS4${secret}`, day!), region!), service!), "aws4_request")
  const expected = hmac(key, ["AWS4-HMAC-SHA256", date, scope, hex(canonical)].join("\n")).toString("hex")
  return expected === signature ? undefined : refuse("UnrecognizedClientException", "wrong signature")
}
