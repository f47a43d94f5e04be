import type { CqlType } from "@effect-scylla/protocol/CqlType"
import type * as Schema from "effect/Schema"
import * as AST from "effect/SchemaAST"

/** How a Schema stands to a type of CQL. */
export interface Judgement {
  /** Values of the type can be what the Schema wants. */
  readonly fits: boolean
  /** Every value of the type that is none of null is what the Schema wants: nothing has to be looked at. */
  readonly isTrusted: boolean
  readonly isNullable?: boolean
}

export type Judge = (type: CqlType) => Judgement

const KEY = "~@effect-scylla/driver/cql"

/** The Schema, which knows from now on to which types it belongs. */
export const fits = <S extends Schema.Top>(schema: S, judge: Judge): S["Rebuild"] =>
  schema.annotate({ [KEY]: judge } as never)

/** Annotations of a Schema with checks are those of its last one: checks of the user's may have come behind. */
const ownJudge = ({ annotations, checks: given }: AST.AST): Judge | undefined => {
  const checks: ReadonlyArray<AST.Check<any>> = given ?? []
  const of = (annotated: Schema.Annotations.Annotations | undefined) => annotated?.[KEY] as Judge | undefined
  const at = checks.findLastIndex((check) => of(check.annotations) !== undefined)
  const judge = at < 0 ? of(annotations) : of(checks[at]!.annotations)
  return judge === undefined || at === checks.length - 1
    ? judge
    : (type) => ({ ...judge(type), isTrusted: false })
}

const isOneOf = (type: CqlType, ...names: ReadonlyArray<string>): boolean =>
  type._tag === "Scalar" && names.includes(type.name)

const UNKNOWN: Judgement = { fits: true, isTrusted: false }

const plain = (isRight: boolean, ast: AST.AST): Judgement => ({ fits: isRight, isTrusted: ast.checks === undefined })

/** How a Schema stands to a type; of one that transforms, what it takes. */
export const judgeAst = (given: AST.AST, type: CqlType): Judgement => {
  if (given.encoding !== undefined) {
    return { ...judgeAst(AST.toEncoded(given), type), isTrusted: false }
  }
  const own = ownJudge(given)
  if (own !== undefined) return own(type)
  switch (given._tag) {
    case "String":
      return plain(isOneOf(type, "text", "ascii"), given)
    case "Number":
      return plain(isOneOf(type, "int", "smallint", "tinyint", "float", "double"), given)
    case "BigInt":
      return plain(isOneOf(type, "bigint", "counter", "varint"), given)
    case "Boolean":
      return plain(isOneOf(type, "boolean"), given)
    case "Any":
    case "Unknown":
      return { fits: true, isTrusted: true, isNullable: true }
    case "Null":
      return { fits: true, isTrusted: false, isNullable: true }
    case "Union": {
      const others = given.types.filter((member) => member._tag !== "Null" && member._tag !== "Undefined")
      const isNullable = others.length < given.types.length
      const judged = others.map((member) => judgeAst(member, type))
      const isAny = judged.some((one) => one.fits)
      return {
        fits: isAny || judged.length === 0,
        isTrusted: judged.length === 1 && judged[0]!.isTrusted && given.checks === undefined,
        isNullable: isNullable || judged.some((one) => one.isNullable === true)
      }
    }
    case "Arrays":
      return { fits: type._tag === "List" || type._tag === "Vector" || type._tag === "Tuple", isTrusted: false }
    case "Objects":
      return { fits: type._tag === "Udt", isTrusted: false }
    case "Literal":
      return {
        fits: typeof given.literal === "string"
          ? isOneOf(type, "text", "ascii")
          : typeof given.literal === "number"
          ? isOneOf(type, "int", "smallint", "tinyint", "float", "double")
          : typeof given.literal === "bigint"
          ? isOneOf(type, "bigint", "counter", "varint")
          : isOneOf(type, "boolean"),
        isTrusted: false
      }
    default:
      return UNKNOWN
  }
}

export const judgeOf = (schema: Schema.Constraint, type: CqlType): Judgement => judgeAst(schema.ast, type)
