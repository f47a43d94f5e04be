/** `ORDER BY v ANN OF […]`, by an exact search: the most alike first. */
import { decode } from "@effect-scylla/protocol/Codec"
import * as CqlType from "@effect-scylla/protocol/CqlType"
import { invalid } from "../failure.ts"
import type * as Ast from "../parse/ast.ts"
import type { Table } from "../schema/schema.ts"
import { columnOf, valueOf } from "./columns.ts"
import { OF_SEVERAL } from "./mathFunctions.ts"
import type { Call } from "./plan.ts"
import { compile } from "./terms.ts"
import type { Bound, Variables, View } from "./variables.ts"

/** Rows that are asked for at most. */
const MAX_LIMIT = 1000

const FLOAT = CqlType.scalar("float")

/** What cannot be asked for beside it. */
export const checkAnn = (
  { orderBy, perPartitionLimit, where }: Ast.Select,
  table: Table,
  isAggregate: boolean
): void => {
  if (orderBy.length > 0) throw invalid("ANN ordering does not support any other ordering")
  const isIndexed = (name: string): boolean => {
    const of = table.byName.get(name)
    return of === undefined || of.kind === "partition_key" ||
      table.indexes.some((each) => each.column === of && each.kind === "CUSTOM")
  }
  if (where.some((relation) => "column" in relation && !isIndexed(relation.column))) {
    throw invalid("ANN ordering by vector requires all restricted column(s) to be indexed")
  }
  if (isAggregate) throw invalid("Top-K queries can not be run with aggregation")
  if (perPartitionLimit !== undefined) throw invalid("Top-K queries do not support per-partition limits")
}

/** Chooses so many of the rows. */
export const compileAnn = (
  { column: name, term }: NonNullable<Ast.Select["ann"]>,
  { limit }: Ast.Select,
  table: Table,
  variables: Variables
): (values: Bound, views: ReadonlyArray<View>, most: number, call: Call) => ReadonlyArray<View> => {
  const column = columnOf(table, name, variables)
  const index = table.indexes.find((each) => each.column === column && each.kind === "CUSTOM")
  const { cql } = column.type
  const wanted = compile(term, cql, column.name, variables)
  if (index === undefined || cql._tag !== "Vector") {
    throw invalid("ANN ordering by vector requires the column to be indexed")
  }
  const option = index.options.get("similarity_function")?.toLowerCase() ?? "cosine"
  const similarity = OF_SEVERAL[`similarity_${option}`]?.(cql, 2)
  if (similarity === undefined) throw invalid("ANN ordering is only supported on float vector indexes")
  return (values, views, most, { options: { pageSize }, warnings }) => {
    if (limit === undefined) {
      throw invalid(
        pageSize === undefined
          ? `Use of ANN OF in an ORDER BY clause requires a LIMIT that is not greater than ${MAX_LIMIT}. LIMIT was NO LIMIT`
          : "Top-K queries must have a limit specified and the limit must be less than the query page size"
      )
    }
    if (pageSize !== undefined && most > pageSize) {
      warnings.push(
        `Top-K queries do not support paging and the page size is set to ${pageSize}, which is less than LIMIT ${most}. ` +
          `The page size has been set to ${most} to match the LIMIT.`
      )
    }
    if (most > MAX_LIMIT) {
      throw invalid(
        `Use of ANN OF in an ORDER BY clause requires a LIMIT that is not greater than ${MAX_LIMIT}. LIMIT was ${most}`
      )
    }
    const to = wanted(values)
    if (!(to instanceof Uint8Array)) throw invalid(`Unsupported null value for column ${column.name}`)
    const scored = views.flatMap((view) => {
      const value = valueOf(column, view)
      if (value === null) return []
      return [{ view, score: decode(FLOAT, similarity.run([value, to], variables)!) as number }]
    })
    return scored.sort((a, b) => b.score - a.score).slice(0, most).map(({ view }) => view)
  }
}
