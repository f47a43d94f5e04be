/** Lines in front of and behind a difference that are shown with it. */
const CONTEXT = 3

/** Past so many pairs of lines a difference is shown as a whole, without what is the same in its middle. */
const MAX_PAIRS = 4_000_000

interface Line {
  readonly mark: " " | "-" | "+"
  readonly text: string
}

/** Lines that stay, go and come, by the longest common subsequence. */
const linesOf = (before: ReadonlyArray<string>, after: ReadonlyArray<string>): ReadonlyArray<Line> => {
  let start = 0
  while (start < before.length && start < after.length && before[start] === after[start]) start++
  let end = 0
  while (
    end < before.length - start && end < after.length - start &&
    before[before.length - 1 - end] === after[after.length - 1 - end]
  ) end++
  const old = before.slice(start, before.length - end)
  const now = after.slice(start, after.length - end)
  const same = (text: string): Line => ({ mark: " ", text })
  return [
    ...before.slice(0, start).map(same),
    ...middle(old, now),
    ...before.slice(before.length - end).map(same)
  ]
}

const middle = (old: ReadonlyArray<string>, now: ReadonlyArray<string>): ReadonlyArray<Line> => {
  const gone = (text: string): Line => ({ mark: "-", text })
  const come = (text: string): Line => ({ mark: "+", text })
  if (old.length * now.length > MAX_PAIRS) return [...old.map(gone), ...now.map(come)]
  const width = now.length + 1
  // Of the rests from each pair of lines on.
  const lengths = new Uint32Array((old.length + 1) * width)
  for (let i = old.length - 1; i >= 0; i--) {
    for (let j = now.length - 1; j >= 0; j--) {
      lengths[i * width + j] = old[i] === now[j]
        ? lengths[(i + 1) * width + j + 1]! + 1
        : Math.max(lengths[(i + 1) * width + j]!, lengths[i * width + j + 1]!)
    }
  }
  const out: Array<Line> = []
  let i = 0
  let j = 0
  while (i < old.length || j < now.length) {
    if (i < old.length && j < now.length && old[i] === now[j]) {
      out.push({ mark: " ", text: old[i]! })
      i++
      j++
    } else if (j === now.length || (i < old.length && lengths[(i + 1) * width + j]! >= lengths[i * width + j + 1]!)) {
      out.push(gone(old[i++]!))
    } else out.push(come(now[j++]!))
  }
  return out
}

/** What changes in a file, as `diff -u` shows it. Empty where nothing does; a text that ends within a line has one line more. */
export const unifiedDiff = (path: string, before: string, after: string): string => {
  const lines = linesOf(before.split("\n"), after.split("\n"))
  const shown = lines.map((_, i) =>
    lines.slice(Math.max(0, i - CONTEXT), i + CONTEXT + 1).some(({ mark }) => mark !== " ")
  )
  if (!shown.includes(true)) return ""
  const out = [`--- ${path}`, `+++ ${path}`]
  let oldLine = 1
  let newLine = 1
  for (let i = 0; i < lines.length;) {
    if (!shown[i]) {
      // What is not shown is the same on both sides.
      oldLine++
      newLine++
      i++
      continue
    }
    const hidden = shown.indexOf(false, i)
    const hunk = lines.slice(i, hidden < 0 ? lines.length : hidden)
    const olds = hunk.filter(({ mark }) => mark !== "+").length
    const news = hunk.filter(({ mark }) => mark !== "-").length
    out.push(`@@ -${olds === 0 ? 0 : oldLine},${olds} +${news === 0 ? 0 : newLine},${news} @@`)
    for (const { mark, text } of hunk) out.push(mark + text)
    oldLine += olds
    newLine += news
    i += hunk.length
  }
  return out.join("\n")
}
