/**
 * Which version of the protocol a cluster is spoken to in: chosen by its first node, kept for all of them.
 *
 * @since 0.1.0
 */
import type { Version } from "@effect-scylla/protocol/Dialect"

/**
 * What is known of a cluster; one for each, shared by all its connections.
 *
 * @category models
 * @since 0.1.0
 */
export class ProtocolVersions {
  /** Set by the first connection; no connection is made in a higher one. */
  agreed: Version | undefined = undefined
  /** Servers of this cluster want the whole connection in one version, OPTIONS too. */
  isStrict = false
  /** Nodes that did not speak the agreed version, by `address:port`, and what they spoke instead. */
  readonly disagreeing = new Map<string, Version>()

  /** A connection is up. Answers the agreed version where the node disagrees and was not known to. */
  note(where: string, version: Version): Version | undefined {
    this.agreed ??= version
    if (version === this.agreed) {
      this.disagreeing.delete(where)
      return undefined
    }
    if (this.disagreeing.get(where) === version) return undefined
    this.disagreeing.set(where, version)
    return this.agreed
  }
}
