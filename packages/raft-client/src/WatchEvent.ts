/**
 * What a watch tells.
 *
 * @since 0.1.0
 */

/**
 * A key has a value. `previous` is the value before as this watch knew it; undefined when there was none. `source` is `Scan`
 * when the change was not seen as it happened, but found by comparing.
 *
 * @category models
 * @since 0.1.0
 */
export interface Put {
  readonly _tag: "Put"
  readonly key: Uint8Array
  readonly value: Uint8Array
  readonly previous: Uint8Array | undefined
  readonly revision: bigint
  readonly source: "Stream" | "Scan"
}

/**
 * A key is gone.
 *
 * @category models
 * @since 0.1.0
 */
export interface Delete {
  readonly _tag: "Delete"
  readonly key: Uint8Array
  readonly previous: Uint8Array
  readonly revision: bigint
  readonly source: "Stream" | "Scan"
}

/**
 * All that came before is the state at `revision` or later; what comes now are changes. Comes once at the start, and again
 * when the watch had to be put together anew.
 *
 * @category models
 * @since 0.1.0
 */
export interface Synced {
  readonly _tag: "Synced"
  readonly revision: bigint
}

/**
 * One event of a watch.
 *
 * @category models
 * @since 0.1.0
 */
export type WatchEvent = Put | Delete | Synced
