import * as Net from "node:net"
import type { Endpoint } from "../Socket.ts"

/** Nobody that is trusted vouches for the certificate. Codes of OpenSSL, X509_V_ERR_. */
const UNTRUSTED: ReadonlySet<string | undefined> = new Set([
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "SELF_SIGNED_CERT_IN_CHAIN",
  "UNABLE_TO_GET_ISSUER_CERT",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE"
])

/** What comes is no record of TLS: what OpenSSL makes of the first bytes of a CQL frame, or of any text. */
const NO_TLS: ReadonlySet<string | undefined> = new Set([
  "ERR_SSL_WRONG_VERSION_NUMBER",
  "ERR_SSL_PACKET_LENGTH_TOO_LONG",
  "ERR_SSL_UNKNOWN_PROTOCOL",
  "ERR_SSL_UNSUPPORTED_PROTOCOL_VERSION_NUMBER",
  "ERR_SSL_BAD_RECORD_TYPE",
  "ERR_SSL_UNEXPECTED_MESSAGE",
  "ERR_SSL_HTTP_REQUEST"
])

const WHERE_TLS_IS = "or use the port for TLS (9142, where the server has one of its own)"

/** `subjectaltname` as node has it: `DNS:a, IP Address:10.0.0.1`; names with odd characters are in quotes. */
const namesOf = (cert: { readonly subjectaltname?: string; readonly subject?: { readonly CN?: string } }): string =>
  cert.subjectaltname ?? (cert.subject?.CN === undefined ? "nobody" : `CN=${cert.subject.CN}, which does not count`)

/** What went wrong with a dial that was to end in TLS, in words that say what to do. */
export const explain = (cause: Error, { address, port }: Endpoint): string => {
  const { cert, code, host } = cause as NodeJS.ErrnoException & {
    readonly host?: string
    readonly cert?: Parameters<typeof namesOf>[0]
  }
  const where = `${address}:${port}`
  if (code === "ERR_TLS_CERT_ALTNAME_INVALID" && cert !== undefined) {
    return `the certificate of ${where} is for ${namesOf(cert)}, and not for ${
      host ?? address
    }: set \`servername\` of ` +
      "`tls` to the name that is to be verified, or decide in its `checkServerIdentity`"
  }
  if (UNTRUSTED.has(code)) {
    return `nobody that is trusted vouches for the certificate of ${where} (${cause.message}): give the certificate of its ` +
      "authority as `ca` of `tls`"
  }
  if (NO_TLS.has(code)) return `${where} speaks no TLS: set \`tls\` to false, ${WHERE_TLS_IS}`
  if (code === "ECONNRESET") {
    return `${where} ended the connection in the handshake of TLS (${cause.message}): where it speaks no TLS, set \`tls\` to ` +
      `false, ${WHERE_TLS_IS}`
  }
  return `cannot connect to ${where}: ${cause.message}`
}

/** The name by which the node is verified, and which is sent (SNI), where the user's options leave it open; an address is none. */
export const nameFor = ({ servername }: Endpoint): { readonly servername?: string } =>
  servername === undefined || Net.isIP(servername) !== 0 ? {} : { servername }

/** Whether these are the first bytes of a server that speaks TLS where a frame is due: an alert, of any version (RFC 8446, 5.1). */
export const isTlsAlert = (bytes: Uint8Array, length: number): boolean =>
  length >= 2 && bytes[0] === 0x15 && bytes[1] === 0x03
