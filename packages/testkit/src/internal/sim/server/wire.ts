/** What carries the bytes: a TCP socket, or one in memory. */
export interface Wire {
  readonly remoteAddress: string
  readonly remotePort: number
  /** Takes a copy of its own. */
  readonly send: (bytes: Uint8Array) => void
  /** Closes when everything was sent. */
  readonly end: () => void
  /** Closes at once. */
  readonly destroy: () => void
}
