import type * as Authenticator from "@effect-scylla/pool/Authenticator"
import { AuthenticationFailed } from "@effect-scylla/pool/PoolError"
import type { auth } from "cassandra-driver"
import * as Effect from "effect/Effect"
import { theirs } from "./theirs.ts"

const { NoAuthProvider } = theirs.auth as any

type Answer = Uint8Array | null

const messageOf = (error: unknown): string => error instanceof Error ? error.message : String(error)

/** What an authenticator says by callback. What it throws is a failure as well. */
const said = (ask: (callback: (error: unknown, token?: unknown) => void) => void) =>
  Effect.callback<Answer, AuthenticationFailed>((resume) => {
    try {
      ask((error, token) =>
        resume(
          error !== undefined && error !== null
            ? Effect.fail(new AuthenticationFailed({ message: messageOf(error) }))
            : Effect.succeed(token instanceof Uint8Array ? token : null)
        )
      )
    } catch (error) {
      resume(Effect.fail(new AuthenticationFailed({ message: messageOf(error) })))
    }
  })

/** A provider of `cassandra-driver`, the user's own included, as the engine asks it; `undefined` for the one that has nothing to say. */
export const authenticatorOf = (provider: auth.AuthProvider): Authenticator.Authenticator | undefined =>
  provider instanceof NoAuthProvider ? undefined : {
    begin: ({ authenticator: name, where }) =>
      Effect.suspend(() => {
        let own: auth.Authenticator
        try {
          own = provider.newAuthenticator(where, name)
        } catch (error) {
          return Effect.fail(new AuthenticationFailed({ message: messageOf(error) }))
        }
        return Effect.map(
          said((callback) => own.initialResponse(callback as never)),
          (initial): Authenticator.Exchange => ({
            initial,
            respond: (challenge) =>
              said((callback) =>
                own.evaluateChallenge(challenge === null ? null as never : Buffer.from(challenge), callback as never)
              ),
            success: (token) =>
              Effect.try({
                try: () => (own as any).onAuthenticationSuccess(token === null ? undefined : Buffer.from(token)),
                catch: (error) => new AuthenticationFailed({ message: messageOf(error) })
              })
          })
        )
      })
  }
