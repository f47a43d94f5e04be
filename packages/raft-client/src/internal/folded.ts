/** The state that a watch has told so far, from which come `previous`, differences and the dropping of what was told already. */
import type { Scanned, WatchItem } from "../ClusterAdapter.ts"
import type { WatchEvent } from "../WatchEvent.ts"
import { compareBytes, textOf } from "./bytes.ts"

type Change = Extract<WatchItem, { _tag: "Put" | "Delete" }>

interface Known {
  readonly key: Uint8Array
  readonly value: Uint8Array
  readonly revision: bigint
  /** Where a scan told it: what the scan has seen at most. */
  readonly scanned?: bigint
}

const equal = (a: Uint8Array, b: Uint8Array): boolean => a.length === b.length && a.every((byte, i) => byte === b[i])

export class Folded {
  private readonly state = new Map<string, Known>()
  /** Deletions since the last comparison, which a scan may not have seen yet. */
  private readonly deleted = new Map<string, bigint>()
  /** Revisions up to here have been told on the present stream. */
  mark = 0n
  /** `mark` before the message whose parts are coming. */
  private floor: bigint | undefined

  get size(): number {
    return this.state.size
  }

  /**
   * Changes as they come on the stream, all of one message, or those of one part of it (`partial`: others follow). A revision
   * is told once, whatever a server repeats; two changes of one message may share theirs, in different parts too.
   */
  apply(items: ReadonlyArray<Change>, emit: (event: WatchEvent) => void, partial = false): void {
    const floor = this.floor ?? this.mark
    let last = floor
    for (const item of items) {
      if (item.revision <= floor) continue
      if (item.revision > last) last = item.revision
      this.change(item, "Stream", emit)
    }
    // The last revision of a part counts as told when the message ends: until then a new stream has to bring it again.
    this.floor = partial ? floor : undefined
    const told = partial ? last - 1n : last
    if (told > this.mark) this.mark = told
  }

  /** The stream has ended: a message of which parts were missing comes again. */
  interrupted(): void {
    this.floor = undefined
  }

  private change(item: Change, source: "Stream" | "Scan", emit: (event: WatchEvent) => void): void {
    const text = textOf(item.key)
    const before = this.state.get(text)
    const { key, revision } = item
    if (item._tag === "Put") {
      this.deleted.delete(text)
      this.state.set(text, { key, value: item.value, revision })
      // The scan was quicker than the stream, and has told it.
      const seen = source === "Stream" ? before?.scanned : undefined
      if (seen !== undefined && revision <= seen && equal(before!.value, item.value)) return
      // The stream before has told it: the scan had not counted it yet, so it counts as later.
      if (source === "Stream" && before?.revision === revision && equal(before.value, item.value)) return
      emit({ _tag: "Put", key, value: item.value, previous: before?.value, revision, source })
    } else {
      this.deleted.set(text, revision)
      if (before === undefined) return
      this.state.delete(text)
      emit({ _tag: "Delete", key, previous: before.value, revision, source })
    }
  }

  /**
   * Compares with a scan that has certainly seen everything up to `low`; `items` came on the stream since it was opened, or
   * since the comparison began. What the scan may have missed is taken from the stream. `fresh`: the stream is a new one,
   * so what it repeats from before the scan is dropped.
   */
  merge(
    scanned: Scanned,
    low: bigint,
    items: ReadonlyArray<Change>,
    fresh: boolean,
    emit: (event: WatchEvent) => void
  ): void {
    if (fresh) {
      // Revisions of another leader say nothing: servers that lost their state count from lower numbers.
      this.mark = low
      this.deleted.clear()
    } else this.apply(items.filter(({ revision }) => revision <= low), emit)
    const later = items.filter(({ revision }) => revision > low)
    const moving = new Set(later.map(({ key }) => textOf(key)))
    const leaveAlone = (text: string): boolean =>
      moving.has(text) ||
      (!fresh && ((this.state.get(text)?.revision ?? 0n) > low || (this.deleted.get(text) ?? 0n) > low))
    const present = new Set<string>()
    const differences: Array<Change> = []
    for (const { key, revision, value } of scanned.entries) {
      const text = textOf(key)
      present.add(text)
      if (leaveAlone(text)) continue
      const known = this.state.get(text)
      if (known === undefined || !equal(known.value, value)) {
        differences.push({ _tag: "Put", key, value, revision: revision ?? scanned.revision })
      } else if (fresh) {
        // The new stream may say it again.
        // The new stream may say it again, by the revision that it has now: servers that lost their state count anew.
        this.state.set(text, { ...known, revision: revision ?? known.revision, scanned: scanned.revision })
      }
    }
    for (const [text, { key }] of this.state) {
      if (!present.has(text) && !leaveAlone(text)) {
        differences.push({ _tag: "Delete", key, revision: scanned.revision })
      }
    }
    differences.sort((a, b) => compareBytes(a.key, b.key))
    // For later comparisons they are as old as the scan certainly was.
    for (const item of differences) {
      this.change(item, "Scan", emit)
      const text = textOf(item.key)
      const now = this.state.get(text)
      if (now !== undefined) this.state.set(text, { ...now, revision: low, scanned: scanned.revision })
    }
    this.deleted.clear()
    if (!fresh && low > this.mark) this.mark = low
    const order = later.toSorted((a, b) => (a.revision < b.revision ? -1 : a.revision > b.revision ? 1 : 0))
    const floor = this.mark
    for (const item of order) {
      if (item.revision <= floor) continue
      if (item.revision > this.mark) this.mark = item.revision
      this.change(item, "Stream", emit)
    }
  }
}
