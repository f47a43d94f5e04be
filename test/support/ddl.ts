/** DDL in one form, in which statements that mean the same are the same text: without the order of columns and options, and white space. */

const PIECES = /'(?:[^']|'')*'|\$\$[^]*?\$\$|"(?:[^"]|"")*"|\s+|[^]/g

const pieces = (text: string): ReadonlyArray<string> => text.match(PIECES) ?? []

/** White space is one space. */
const collapsed = (text: string): string =>
  pieces(text).map((piece) => /^\s/.test(piece) ? " " : piece).join("").replace(/[;\s]+$/, "").trim()

const isBracket = (piece: string | undefined): boolean => piece !== undefined && /^[(),<>{}[\]:]$/.test(piece)

/** None around brackets and commas. */
const tight = (text: string): string => {
  const all = pieces(text.trim())
  return all.filter((piece, i) => piece !== " " || !(isBracket(all[i - 1]) || isBracket(all[i + 1]))).join("")
}

/** Parts between separators that stand outside of brackets and quotes. */
const split = (text: string, separator: string): ReadonlyArray<string> => {
  const out = [""]
  let depth = 0
  const all = pieces(text)
  for (let i = 0; i < all.length; i++) {
    const piece = all[i]!
    if (depth === 0 && all.slice(i, i + separator.length).join("") === separator) {
      out.push("")
      i += separator.length - 1
      continue
    }
    if (/^[([{<]$/.test(piece)) depth++
    // One may be a comparison.
    else if (/^[)\]}>]$/.test(piece) && depth > 0) depth--
    out[out.length - 1] += piece
  }
  return out
}

const NAME = String.raw`(?:"(?:[^"]|"")*"|\w+)`
const TABLE = new RegExp(`^CREATE TABLE ${NAME}\\.${NAME} ?`)
const INLINE = / PRIMARY KEY$/

/** A key of one column may stand beside it. */
const columns = (text: string): string => {
  const list = split(text, ",").map((each) => each.trim())
  const inline = list.find((each) => INLINE.test(each))
  const key = inline === undefined ? [] : [`PRIMARY KEY (${new RegExp(`^${NAME}`).exec(inline)![0]})`]
  return [...list.map((each) => each.replace(INLINE, "")), ...key].map(tight).sort().join(",")
}

/** What stands behind WITH. */
const options = (text: string): string => split(text, " AND ").map(tight).sort().join(" AND ")

export const canonical = (statement: string): string => {
  const text = collapsed(statement)
  if (!/^CREATE (TABLE|KEYSPACE|MATERIALIZED VIEW) /.test(text)) return tight(text)
  const [head = "", ...rest] = split(text, " WITH ")
  const table = TABLE.exec(head)?.[0]
  const start = table === undefined
    ? tight(head)
    : `${tight(table)}(${columns(head.slice(table.length).trim().slice(1, -1))})`
  return `${start} WITH ${options(rest.join(" WITH "))}`
}
