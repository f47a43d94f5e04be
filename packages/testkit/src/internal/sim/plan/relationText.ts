/** Relations as the schema shows them. */
import * as Identifier from "@effect-scylla/protocol/Identifier"
import type { Relation, Term } from "../parse/ast.ts"
import type { Product } from "../parse/product.ts"
import { textOf } from "./terms.ts"

const relationText = (relation: Relation, product: Product): string => {
  const term = (each: Term): string => textOf(each, product)
  const terms = (each: ReadonlyArray<Term> | Term): string =>
    Array.isArray(each) ? `(${(each as ReadonlyArray<Term>).map(term).join(", ")})` : term(each as Term)
  const columns = (names: ReadonlyArray<string>): string => names.map((name) => Identifier.format(name)).join(", ")
  switch (relation._tag) {
    case "Column":
      return `${columns([relation.column])} ${relation.op} ${term(relation.term)}`
    case "In":
      return `${columns([relation.column])} IN ${terms(relation.terms)}`
    case "Element":
      return `${columns([relation.column])}[${term(relation.key)}] ${relation.op} ${terms(relation.terms)}`
    case "Field":
      return `${columns([relation.column])}.${columns([relation.field])} ${relation.op} ${terms(relation.terms)}`
    case "Contains":
      return `${columns([relation.column])} CONTAINS ${relation.isKey ? "KEY " : ""}${term(relation.term)}`
    case "Like":
      return `${columns([relation.column])} LIKE ${term(relation.term)}`
    case "NotNull":
      return `${columns([relation.column])} IS NOT ${product === "scylla" ? "null" : "NULL"}`
    case "Multi":
      return `(${columns(relation.columns)}) ${relation.op} ${term(relation.term)}`
    case "MultiIn":
      return `(${columns(relation.columns)}) IN ${terms(relation.terms)}`
    case "Token":
      return `token(${columns(relation.columns)}) ${relation.op} ${term(relation.term)}`
    case "Other":
      return relation.what
  }
}

/** What stands behind WHERE. */
export const whereText = (relations: ReadonlyArray<Relation>, product: Product): string =>
  relations.map((relation) => relationText(relation, product)).join(" AND ")
