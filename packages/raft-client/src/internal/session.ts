/** Who the client is to servers that ask: its token, and how many it has had. */
import * as Redacted from "effect/Redacted"
import * as Semaphore from "effect/Semaphore"
import type { Call, LoginCalls } from "../ClusterAdapter.ts"

/** A user and its password. */
export interface Auth {
  readonly username: string
  readonly password: Redacted.Redacted<string>
}

export class Session {
  private readonly auth: Auth
  private readonly calls: LoginCalls
  private sent: Readonly<Record<string, Redacted.Redacted<string>>> | undefined
  /** How often it has logged in; 0: not yet. */
  generation = 0
  /** One login for all who need one. */
  readonly gate = Semaphore.makeUnsafe(1)

  constructor(auth: Auth, calls: LoginCalls) {
    this.auth = auth
    this.calls = calls
  }

  /** What goes with a call; nothing with the login, which servers refuse when it carries a token that is worth nothing. */
  readonly metadata = (path: string): Readonly<Record<string, Redacted.Redacted<string>>> | undefined =>
    path === this.calls.path ? undefined : this.sent

  get call(): Call<string | undefined> {
    return this.calls.call(this.auth.username, Redacted.value(this.auth.password))
  }

  isLogin(call: { readonly path: string }): boolean {
    return call.path === this.calls.path
  }

  accept(token: string | undefined): void {
    this.generation++
    this.sent = token === undefined ? undefined : { [this.calls.header]: Redacted.make(token) }
  }
}
