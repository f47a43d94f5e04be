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
 * after each `Resync`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Synced {
  readonly _tag: "Synced"
  readonly revision: bigint
}

/**
 * What was told so far cannot be continued from: what comes now, up to the next `Synced`, is the difference between that and
 * the present state, found by a scan.
 *
 * **Details**
 *
 * `WentBack`: the servers are behind what they had told (an emptied volume, a restored backup), or have a lower term than
 * before; what they had acknowledged since is lost, and new changes count from lower revisions. `Compacted`: the changes in
 * between are gone from the server. `Reopened`: the server keeps no history (d-engine), and the stream had to be opened anew.
 *
 * `seen` is the last revision that was told before, `revision` the present one.
 *
 * @category models
 * @since 0.1.0
 */
export interface Resync {
  readonly _tag: "Resync"
  readonly reason: "WentBack" | "Compacted" | "Reopened"
  readonly seen: bigint
  readonly revision: bigint
}

/**
 * One event of a watch.
 *
 * @category models
 * @since 0.1.0
 */
export type WatchEvent = Put | Delete | Synced | Resync
