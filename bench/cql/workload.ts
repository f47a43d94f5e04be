/**
 * What every client of the benchmark sends, and what the canned server answers. The Rust client repeats it
 * (clients/rust/src/main.rs). Nothing here is random.
 */

export const SELECT = "SELECT id, name, age, score FROM ks.t WHERE id = ?"
export const INSERT = "INSERT INTO ks.t (id, name, age, score) VALUES (?, ?, ?, ?)"

/** Without values: a text that nobody prepares. */
export const SELECT_TEXT = "SELECT id, name, age, score FROM ks.t WHERE id = 01020304-0506-4708-8910-111200000000"

/** Many rows, read page by page: so many pages of so many rows. */
export const SELECT_PAGES = "SELECT id, name, age, score FROM ks.pages"
export const PAGES = 20
export const PAGE_ROWS = 5_000

/** What all clients run. */
export type Single = "select" | "insert"
export const singles: ReadonlyArray<Single> = ["select", "insert"]

/**
 * What only clients of this language run: a batch of {@link batchSize} INSERTs, a request each, and one call with many rows, where each
 * row counts.
 */
export type Bulk = "batch" | "manySelect" | "manyInsert"
export const bulks: ReadonlyArray<Bulk> = ["batch", "manySelect", "manyInsert"]
export const batchSize = 10

export type Operation = Single | Bulk

/** The keys are sent in turn, so that no client can keep a routed or encoded request. */
export const keyCount = 256

export const keys: ReadonlyArray<string> = Array.from(
  { length: keyCount },
  (_, i) => `01020304-0506-4708-8910-1112${i.toString(16).padStart(8, "0")}`
)

/** Twenty characters. */
export const name = "twenty characters .."

/** The row that every SELECT answers. The bigint is one that a JavaScript number cannot hold. */
export const row = { id: keys[0]!, name, age: 42, score: 1234567890123456789n }
