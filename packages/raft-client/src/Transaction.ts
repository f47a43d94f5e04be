/**
 * Transactions of a store that has them (etcd): conditions, and what to do in one step when they all hold or do not.
 *
 * @since 0.1.0
 */

type Bytes = Uint8Array | string

/**
 * How what is stored has to compare with what is given.
 *
 * @category models
 * @since 0.1.0
 */
export type Relation = "equal" | "notEqual" | "greater" | "less"

/**
 * What must hold of one key. A key that does not exist has version 0, revisions 0 and lease 0, and no value: a comparison of
 * its value never holds.
 *
 * **Details**
 *
 * `version` counts the changes since the key was created, from 1. `created` and `modified` are the revisions of its creation
 * and of its last change. `lease` is the id of the lease that it hangs on, 0 for none. `relation` is `equal` by default.
 *
 * @category models
 * @since 0.1.0
 */
export type Condition<B = Bytes> =
  | { readonly _tag: "Value"; readonly key: B; readonly value: B; readonly relation?: Relation | undefined }
  | {
    readonly _tag: "Version" | "Created" | "Modified" | "Lease"
    readonly key: B
    readonly number: bigint
    readonly relation?: Relation | undefined
  }

/**
 * What to do with one key. `lease` is the id of a lease that the key goes with.
 *
 * @category models
 * @since 0.1.0
 */
export type Operation<B = Bytes> =
  | { readonly _tag: "Put"; readonly key: B; readonly value: B; readonly lease?: bigint | undefined }
  | { readonly _tag: "Delete"; readonly key: B }
  | { readonly _tag: "Get"; readonly key: B }

/**
 * A transaction. Its operations, on either side, name a key at most once for writing; servers take 128 of them by default.
 *
 * @category models
 * @since 0.1.0
 */
export interface Transaction {
  /** All have to hold; none at all hold. */
  readonly compare: ReadonlyArray<Condition>
  /** What to do then. */
  readonly success: ReadonlyArray<Operation>
  /** What to do else. Default: nothing. */
  readonly failure?: ReadonlyArray<Operation> | undefined
}

/**
 * What came of one operation, in the order of the operations.
 *
 * @category models
 * @since 0.1.0
 */
export type Result =
  | { readonly _tag: "Put" }
  | { readonly _tag: "Delete"; readonly deleted: number }
  | { readonly _tag: "Get"; readonly entry: Found | undefined }

/**
 * A key that a transaction has read.
 *
 * @category models
 * @since 0.1.0
 */
export interface Found {
  readonly key: Uint8Array
  readonly value: Uint8Array
  readonly created: bigint
  readonly modified: bigint
  readonly version: bigint
  /** 0: none. */
  readonly lease: bigint
}

/**
 * What became of a transaction that was decided. `succeeded`: the conditions held and `success` was done; else `failure`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Transacted {
  readonly succeeded: boolean
  /** The revision of its writes; without any, the present one. */
  readonly revision: bigint
  readonly results: ReadonlyArray<Result>
}

/** The key has this value. @category constructors @since 0.1.0 */
export const valueIs = (key: Bytes, value: Bytes): Condition => ({ _tag: "Value", key, value })

/** There is no such key. @category constructors @since 0.1.0 */
export const isAbsent = (key: Bytes): Condition => ({ _tag: "Version", key, number: 0n })

/** There is such a key. @category constructors @since 0.1.0 */
export const isPresent = (key: Bytes): Condition => ({ _tag: "Version", key, number: 0n, relation: "greater" })

/** The key has not changed since this revision (`Entry.revision`). @category constructors @since 0.1.0 */
export const isUnchanged = (key: Bytes, modified: bigint): Condition => ({ _tag: "Modified", key, number: modified })

/** The key is the one that was created at this revision, not one of later. @category constructors @since 0.1.0 */
export const wasCreatedAt = (key: Bytes, created: bigint): Condition => ({ _tag: "Created", key, number: created })

/** Writes a value. @category constructors @since 0.1.0 */
export const put = (key: Bytes, value: Bytes, lease?: bigint): Operation => ({ _tag: "Put", key, value, lease })

/** Deletes a key, if it is there. @category constructors @since 0.1.0 */
export const remove = (key: Bytes): Operation => ({ _tag: "Delete", key })

/** Reads a key. @category constructors @since 0.1.0 */
export const get = (key: Bytes): Operation => ({ _tag: "Get", key })
