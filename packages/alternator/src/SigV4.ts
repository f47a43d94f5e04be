/**
 * AWS Signature Version 4, of exactly what is sent: `host`, `x-amz-date` and `x-amz-target`.
 *
 * Any other header may then be added or taken away by whoever is on the way. The key is derived once a day; the body is
 * always hashed, as Alternator demands.
 *
 * @stability unstable
 * @since 0.1.0
 */
import * as Redacted from "effect/Redacted"
import { createHmac, hash } from "node:crypto"
import type { Auth } from "./Auth.ts"

const SIGNED_HEADERS = "host;x-amz-date;x-amz-target"

const hmac = (key: string | Buffer, text: string): Buffer => createHmac("sha256", key).update(text).digest()

const two = (n: number): string => (n < 10 ? `0${n}` : String(n))

/**
 * Signs requests with one set of credentials.
 *
 * @category models
 * @since 0.1.0
 */
export class Signer {
  private second = -1
  private date = ""
  private day = ""
  private scope = ""
  private prefix = ""
  private key: Buffer = Buffer.alloc(0)
  private readonly credentials: Extract<Auth, { _tag: "SigV4" }>

  constructor(credentials: Extract<Auth, { _tag: "SigV4" }>) {
    this.credentials = credentials
  }

  /** Sets the time, in milliseconds since 1970. Gives `x-amz-date`. */
  at(millis: number): string {
    const second = Math.floor(millis / 1000)
    if (second !== this.second) {
      this.second = second
      const time = new Date(second * 1000)
      const day = `${time.getUTCFullYear()}${two(time.getUTCMonth() + 1)}${two(time.getUTCDate())}`
      if (day !== this.day) this.derive(day)
      this.date = `${day}T${two(time.getUTCHours())}${two(time.getUTCMinutes())}${two(time.getUTCSeconds())}Z`
    }
    return this.date
  }

  private derive(day: string): void {
    const { accessKeyId, region, secretAccessKey, service } = this.credentials
    this.day = day
    this.scope = `${day}/${region}/${service}/aws4_request`
    this.prefix =
      `AWS4-HMAC-SHA256 Credential=${accessKeyId}/${this.scope}, SignedHeaders=${SIGNED_HEADERS}, Signature=`
    const dated = hmac(`AWS4${Redacted.value(secretAccessKey)}`, day)
    this.key = hmac(hmac(hmac(dated, region), service), "aws4_request")
  }

  /** The `authorization` header of a `POST /`, dated by the last {@link at}. */
  sign(host: string, target: string, body: Uint8Array | string): string {
    const canonical = `POST\n/\n\nhost:${host}\nx-amz-date:${this.date}\nx-amz-target:${target}\n\n${SIGNED_HEADERS}\n${
      hash("sha256", body, "hex")
    }`
    const text = `AWS4-HMAC-SHA256\n${this.date}\n${this.scope}\n${hash("sha256", canonical, "hex")}`
    return this.prefix + createHmac("sha256", this.key).update(text).digest("hex")
  }
}
