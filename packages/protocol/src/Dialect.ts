/**
 * What one connection speaks: the version, and the extensions that change how messages are laid out.
 *
 * Every function that reads or writes a message takes one; v4 without extensions is the default everywhere. It is a plain
 * value: put one together when STARTUP has been answered and use it for all messages of the connection.
 *
 * @since 0.1.0
 */

/**
 * A version of the native protocol. ScyllaDB speaks 3 and 4, Apache Cassandra since 4.0 also 5.
 *
 * @category models
 * @since 0.1.0
 */
export type Version = 3 | 4 | 5

/**
 * The layout of a connection's messages.
 *
 * @category models
 * @since 0.1.0
 */
export interface Dialect {
  /** The version byte of its frames, without the bit of responses. */
  readonly version: Version
  /**
   * Whether PREPARED and EXECUTE carry the id of the result's metadata: always on v5, on v4 where STARTUP echoed
   * `SCYLLA_USE_METADATA_ID`.
   */
  readonly metadataIds: boolean
  /** Whether every EXECUTE ends with a tablet version block: where STARTUP echoed `TABLETS_ROUTING_V2`, under either of its names. */
  readonly tabletVersions: boolean
  /** The code of ScyllaDB's rate-limit error: where STARTUP echoed `SCYLLA_RATE_LIMIT_ERROR`. */
  readonly rateLimitCode: number | undefined
}

/**
 * A version with the given extensions; v5 has metadata ids whatever is given.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (version: Version, extensions: Partial<Omit<Dialect, "version">> = {}): Dialect => ({
  version,
  metadataIds: version >= 5 || extensions.metadataIds === true,
  tabletVersions: extensions.tabletVersions === true,
  rateLimitCode: extensions.rateLimitCode
})

/**
 * Version 3 without extensions.
 *
 * @category constants
 * @since 0.1.0
 */
export const v3: Dialect = make(3)

/**
 * Version 4 without extensions, the default.
 *
 * @category constants
 * @since 0.1.0
 */
export const v4: Dialect = make(4)

/**
 * Version 5 without extensions.
 *
 * @category constants
 * @since 0.1.0
 */
export const v5: Dialect = make(5)
