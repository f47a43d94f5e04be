/** Requests over any `HttpClient` of Effect. */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as HttpBody from "effect/http/HttpBody"
import type { HttpClient } from "effect/http/HttpClient"
import type { HttpClientError } from "effect/http/HttpClientError"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import { type Exchange, type ExchangeHandler, type ExchangeRequest, join, type ResponseHeaders } from "../Exchange.ts"

/** Codes that a client gives when it had no connection; with any other the request may have left. */
const unreachable = new Set([
  "ECONNREFUSED",
  "ENOTFOUND",
  "EAI_AGAIN",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "UND_ERR_CONNECT_TIMEOUT",
  "CERT_HAS_EXPIRED",
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "SELF_SIGNED_CERT_IN_CHAIN",
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
  "ERR_TLS_CERT_ALTNAME_INVALID"
])

const codeOf = (error: unknown, depth = 0): string | undefined => {
  if (typeof error !== "object" || error === null || depth > 6) return undefined
  const { code, cause, errors, reason } = error as {
    readonly code?: unknown
    readonly cause?: unknown
    readonly errors?: ReadonlyArray<unknown>
    readonly reason?: unknown
  }
  if (typeof code === "string") return code
  return codeOf(cause ?? errors?.[0] ?? reason, depth + 1)
}

/** `{` or `[`, with which neither gzip nor zlib data begins. */
const isPlain = (body: Uint8Array): boolean => body[0] === 0x7b || body[0] === 0x5b

/** Some clients ask for compressed answers by themselves and unpack them, as `fetch` does, and leave the header. */
const withoutEncoding = (all: ResponseHeaders): ResponseHeaders => {
  const { "content-encoding": _, ...headers } = all
  return headers
}

class Oversized {
  readonly _tag = "Oversized"
}

export const dispatcher = (client: HttpClient, run: <A, E>(effect: Effect.Effect<A, E>) => Fiber.Fiber<A, E>) => {
  const send = Effect.fnUntraced(function*(request: ExchangeRequest) {
    const headers: Record<string, string> = {}
    for (let i = 0; i < request.headers.length; i += 2) headers[request.headers[i]!] = request.headers[i + 1]!
    // The URL says it in the same form, and fetch does not take it.
    delete headers["host"]
    const type = headers["content-type"]
    const made = HttpClientRequest.make(request.method)(`${request.node.url}${request.path}`, { headers })
    const response = yield* client.execute(
      request.body === undefined ? made : HttpClientRequest.setBody(
        made,
        HttpBody.uint8Array(typeof request.body === "string" ? Buffer.from(request.body) : request.body, type ?? "")
      )
    )
    let size = 0
    const chunks: Array<Uint8Array> = []
    yield* Stream.runForEach(response.stream, (chunk) => {
      size += chunk.length
      if (size > request.maxBody) return Effect.fail(new Oversized())
      chunks.push(chunk)
      return Effect.void
    }).pipe(Effect.catchIf(
      // No body at all is an empty one.
      (error): error is HttpClientError => error._tag === "HttpClientError" && error.reason._tag === "EmptyBodyError",
      () => Effect.void
    ))
    const body = join(chunks)
    return {
      status: response.status,
      headers: isPlain(body) ? withoutEncoding(response.headers) : response.headers,
      body
    }
  })

  return (request: ExchangeRequest, handler: ExchangeHandler): Exchange => {
    let done = false
    const fiber = run(send(request))
    fiber.addObserver((exit) => {
      if (done) return
      done = true
      if (Exit.isSuccess(exit)) {
        const { body, headers, status } = exit.value
        return handler.onAnswer(status, headers, body)
      }
      const found = Cause.findError(exit.cause)
      const error = Result.isSuccess(found) ? found.success : Cause.squash(exit.cause)
      if (error instanceof Oversized) {
        return handler.onFailure({
          kind: "oversized",
          sent: true,
          message: `more than ${request.maxBody} bytes of body`,
          cause: undefined
        })
      }
      const code = codeOf(error)
      const sent = code === undefined || !unreachable.has(code)
      handler.onFailure({
        kind: sent ? "lost" : "unreachable",
        sent,
        message: code ?? (error instanceof Error ? error.message : String(error)),
        cause: error
      })
    })
    return {
      // Nothing tells when the client has a connection.
      sent: true,
      abort: () => {
        if (done) return
        done = true
        run(Fiber.interrupt(fiber))
      }
    }
  }
}
