const NAME = 38
const CELL = 10

/** Prints the head of a table: a title, then what each column of numbers is. */
export const head = (title: string, ...columns: ReadonlyArray<string>): void =>
  console.log(title.padEnd(NAME) + columns.map((column) => column.padStart(CELL)).join(""))

/** Prints a row of it, nothing where there is no number; of `theirs` the ratio to `ours`, too. */
export const row = (name: string, ours: number, limit?: number, theirs?: number): void => {
  const cells = [ours, limit, theirs].map((value) => value?.toFixed(1) ?? "")
  head(name, ...cells, theirs === undefined ? "" : `${(theirs / ours).toFixed(1)} x`)
}
