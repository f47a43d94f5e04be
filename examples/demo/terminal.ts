/** What the demo draws: a progress bar that is live on a terminal and a few lines in a log, and tables. */
import { Console, Effect } from "effect"

const WIDTH = 32

/** Counts up to `total`; call `done` once for each step and `finish` at the end. */
export interface Progress {
  readonly step: () => void
  readonly finish: Effect.Effect<void>
}

export const progress = (label: string, total: number): Progress => {
  const live = process.stdout.isTTY
  const started = performance.now()
  let count = 0
  let shown = 0
  const line = (): string => {
    const share = count / total
    const full = Math.round(share * WIDTH)
    const seconds = (performance.now() - started) / 1000
    const rate = seconds > 0 ? Math.round(count / seconds).toLocaleString("en-US") : "0"
    const bar = "█".repeat(full) + "░".repeat(WIDTH - full)
    const text = `  ${label.padEnd(22)} ${bar} ${String(Math.floor(share * 100)).padStart(3)} %  ${rate}/s`
    // A line that wraps could not be drawn over: on a narrow terminal its end is left out.
    return live ? text.slice(0, Math.max(1, process.stdout.columns - 1)) : text
  }
  return {
    step: () => {
      count++
      const due = live ? total / 200 : total / 4
      if (count - shown < due && count !== total) return
      shown = count
      process.stdout.write(live ? `\r${line()}` : `${line()}\n`)
    },
    finish: Effect.sync(() => {
      if (live) process.stdout.write("\n")
    })
  }
}

/** Columns as wide as they need to be; everything but the first is aligned to the right. */
export const table = (
  head: ReadonlyArray<string>,
  rows: ReadonlyArray<ReadonlyArray<string | number>>
): Effect.Effect<void> => {
  const cells = [
    head,
    ...rows.map((row) => row.map((cell) => typeof cell === "number" ? cell.toLocaleString("en-US") : cell))
  ]
  const widths = head.map((_, i) => Math.max(...cells.map((row) => (row[i] ?? "").length)))
  const line = (row: ReadonlyArray<string>): string =>
    "  " + row.map((cell, i) => i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!)).join("  ")
  return Console.log(
    [line(cells[0]!), "  " + widths.map((width) => "─".repeat(width)).join("  "), ...cells.slice(1).map(line)].join(
      "\n"
    )
  )
}

export const heading = (text: string): Effect.Effect<void> => Console.log(`\n${text}`)

export const percent = (part: number, whole: number): string =>
  whole === 0 ? "–" : `${((part / whole) * 100).toFixed(2)} %`
