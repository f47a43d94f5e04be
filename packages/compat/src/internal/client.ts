import * as Batch from "./batch.ts"
import { Call, type Done } from "./call.ts"
import { unknownProfile } from "./requestOptions.ts"
import { Session } from "./session.ts"
import { theirs } from "./theirs.ts"

const TheirClient: any = theirs.Client
const { NoHostAvailableError, NotSupportedError } = theirs.errors as any

type Callback = (error: Error | null, result?: unknown) => void

/** The error at the place of the call, where that is wished for. */
const placed = (done: Done): Done => {
  const holder: { stack?: string } = {}
  Error.captureStackTrace(holder, placed)
  return (error, result) => {
    if (error !== null) {
      error.stack = `${error.stack ?? error.message}\n(event loop)\n${holder.stack?.replace(/^.*\n/, "")}`
    }
    done(error, result)
  }
}

/** Told in a turn of its own, so that what it throws is nobody else's; so is what is no function. */
const later = (callback: Callback): Done => (error, result) => {
  if (typeof callback !== "function") process.nextTick(() => (callback as Callback)(error, result))
  else if (error === null) process.nextTick(callback, null, result)
  else process.nextTick(callback, error)
}

/**
 * The client of `cassandra-driver` on another engine. What is not overridden is as it is there: `connect`, `eachRow`, `stream`, `batch`
 * and `shutdown` in both forms, `getReplicas`, `getState`, and the events.
 */
class Methods extends TheirClient {
  /** Connects once, whoever asks for it meanwhile. */
  async _connect(): Promise<void> {
    if (this.connected) return
    if (this.isShuttingDown) throw new NoHostAvailableError(null, "a client that was shut down does not connect again")
    if (this.connecting) {
      return new Promise((resolve, reject) => {
        this.once("connected", (error?: Error) => error === undefined ? resolve() : reject(error))
      })
    }
    this.connecting = true
    this.log("info", "connecting by @effect-scylla/compat")
    try {
      await this._session.begin()
    } catch (error) {
      this.connecting = false
      this.emit("connected", error)
      throw error
    }
    if (!this._isListening) {
      Object.defineProperty(this, "_isListening", { value: true })
      this._setHostListeners()
    }
    this.connected = true
    this.connecting = false
    this.emit("connected")
  }

  execute(query: string, params?: any, options?: any, callback?: any): any {
    if (!callback) {
      if (typeof options === "function") {
        callback = options
        options = undefined
      } else if (typeof params === "function") {
        callback = params
        params = undefined
      }
    }
    // Somebody wants to see every execution: instrumentations put themselves there.
    if (this._execute !== ownExecute) return super.execute(query, params, options, callback)
    const odd = this._unknownProfile(options)
    if (odd !== undefined) return callback ? callback(odd) : Promise.reject(odd)
    if (callback) return void this._begin(query, params, options, undefined, later(callback))
    return new Promise((resolve, reject) => {
      this._begin(query, params, options, undefined, (error: Error | null, result: any) => {
        if (error === null) resolve(result)
        else reject(error)
      })
    })
  }

  /** One page, as `eachRow`, `stream` and instrumentations ask for it. */
  _execute(query: string, params: any, executionOptions: any): Promise<any> {
    const given = executionOptions.getRawQueryOptions()
    const pageState = executionOptions.getPageState()
    const rowCallback = executionOptions.getRowCallback() ?? undefined
    return new Promise((resolve, reject) => {
      const done = (error: Error | null, result: any): void => error === null ? resolve(result) : reject(error)
      this._begin(query, params, given, rowCallback, done, pageState)
    })
  }

  /** Said at once, whether it is connected or not. */
  _unknownProfile(options: any): Error | undefined {
    if (!options || options.executionProfile === undefined) return undefined
    return this.profileManager.getProfile(options.executionProfile) ? undefined : unknownProfile(options)
  }

  /** A call, once there is a connection. */
  _begin(query: string, params: any, options: any, rowCallback: any, done: Done, pageState?: unknown): void {
    if (!this.connected) {
      this._connect().then(() => this._begin(query, params, options, rowCallback, done, pageState), done)
      return
    }
    const session: Session = this._session
    let call: Call
    try {
      const wanted = session.requests.of(
        pageState === undefined || pageState === null
          ? options
          : Object.create(options, { pageState: { value: pageState } })
      )
      call = new Call(session, query, params, options, wanted, rowCallback, wanted.isCapturing ? placed(done) : done)
    } catch (error) {
      return done(error as Error)
    }
    call.start()
  }

  async _batch(queries: any, options: any): Promise<any> {
    Batch.checkQueries(queries)
    await this._connect()
    const session: Session = this._session
    const wanted = session.requests.of(options)
    return new Promise((resolve, reject) => {
      const done: Done = (error, result) => error === null ? resolve(result) : reject(error)
      const call = new Call(
        session,
        queries,
        undefined,
        options,
        wanted,
        undefined,
        wanted.isCapturing ? placed(done) : done
      )
      Batch.start(call, queries)
    })
  }

  async _shutdown(): Promise<void> {
    this.log("info", "shutting down")
    if (this.connecting) {
      await new Promise<void>((resolve) => this.once("connected", () => resolve()))
    }
    if (!this.connected) return
    this.connected = false
    this.isShuttingDown = true
    const { policies, requestTracker } = this.options
    policies.speculativeExecution.shutdown()
    if (requestTracker) requestTracker.shutdown()
    await this._session.shutdown()
  }

  executeGraph(_query: unknown, parameters: unknown, options: unknown, callback: unknown): any {
    const error = new NotSupportedError("graphs are of DataStax Enterprise, which @effect-scylla/compat does not speak")
    callback = [callback, options, parameters].find((arg) => typeof arg === "function")
    if (callback === undefined) return Promise.reject(error)
    process.nextTick(callback as Callback, error)
  }
}

const ownExecute = Methods.prototype._execute

/** A function, as theirs is: classes from before there were any call it on an instance of their own. */
export const Client: any = function Client(this: any, options: any): void {
  TheirClient.call(this, options)
  const session = new Session(this, options)
  Object.defineProperty(this, "_session", { value: session })
  Object.defineProperty(this, "_isStampedByUser", { value: session.generator !== undefined })
}
Object.setPrototypeOf(Client, TheirClient)
Client.prototype = Methods.prototype
Object.defineProperty(Client.prototype, "constructor", { value: Client, writable: true, configurable: true })
