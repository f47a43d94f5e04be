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

/** Bytes of a block of SHA-256, and of its digest. */
const BLOCK = 64
const DIGEST = 32

/**
 * HMAC-SHA256 (RFC 2104) with a key that is used often: two plain hashes of prepared blocks. Node's `createHmac` makes an
 * object of the key each time, which takes several times as long.
 */
class Hmac {
  private readonly inner: Buffer
  private readonly outer = Buffer.alloc(BLOCK + DIGEST)

  /** `key` is a digest, so shorter than a block; `most` is the bytes of the longest text. */
  constructor(key: Uint8Array, most: number) {
    this.inner = Buffer.alloc(BLOCK + most)
    this.inner.set(key)
    this.outer.set(key)
    for (let i = 0; i < BLOCK; i++) {
      this.inner[i]! ^= 0x36
      this.outer[i]! ^= 0x5c
    }
  }

  hex(text: string): string {
    const length = this.inner.write(text, BLOCK)
    this.outer.set(hash("sha256", this.inner.subarray(0, BLOCK + length), "buffer"), BLOCK)
    return hash("sha256", this.outer, "hex")
  }
}

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
  private hmac = new Hmac(Buffer.alloc(DIGEST), 0)
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
    // Algorithm, date, scope and a digest in hex, each on its line.
    const most = 100 + Buffer.byteLength(this.scope)
    this.hmac = new Hmac(hmac(hmac(hmac(dated, region), service), "aws4_request"), most)
  }

  /** The `authorization` header of a `POST /`, dated by the last {@link at}. */
  sign(host: string, target: string, body: Uint8Array | string): string {
    const canonical = `POST\n/\n\nhost:${host}\nx-amz-date:${this.date}\nx-amz-target:${target}\n\n${SIGNED_HEADERS}\n${
      hash("sha256", body, "hex")
    }`
    const text = `AWS4-HMAC-SHA256\n${this.date}\n${this.scope}\n${hash("sha256", canonical, "hex")}`
    return this.prefix + this.hmac.hex(text)
  }
}
