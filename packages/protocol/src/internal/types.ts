/**
 * Codes of the scalar types in an `[option]` (native_protocol_v4.spec section 4.2.5.2).
 *
 * @category constants
 * @since 0.1.0
 */
export const SCALAR_CODES = {
  ascii: 0x01,
  bigint: 0x02,
  blob: 0x03,
  boolean: 0x04,
  counter: 0x05,
  decimal: 0x06,
  double: 0x07,
  float: 0x08,
  int: 0x09,
  timestamp: 0x0b,
  uuid: 0x0c,
  text: 0x0d,
  varint: 0x0e,
  timeuuid: 0x0f,
  inet: 0x10,
  date: 0x11,
  time: 0x12,
  smallint: 0x13,
  tinyint: 0x14,
  duration: 0x15
} as const

/**
 * The scalar types by their CQL name. `varchar` is `text`.
 *
 * @category models
 * @since 0.1.0
 */
export type ScalarName = keyof typeof SCALAR_CODES

/**
 * A CQL type.
 *
 * `frozen` is not part of it: it changes how a server stores a value, not how the value is written.
 *
 * @category models
 * @since 0.1.0
 */
export type CqlType =
  | { readonly _tag: "Scalar"; readonly name: ScalarName }
  | { readonly _tag: "List"; readonly element: CqlType }
  | { readonly _tag: "Set"; readonly element: CqlType }
  | { readonly _tag: "Map"; readonly key: CqlType; readonly value: CqlType }
  | { readonly _tag: "Tuple"; readonly elements: ReadonlyArray<CqlType> }
  | { readonly _tag: "Udt"; readonly keyspace: string; readonly name: string; readonly fields: ReadonlyArray<UdtField> }
  | { readonly _tag: "Vector"; readonly element: CqlType; readonly dimension: number }
  | { readonly _tag: "Custom"; readonly className: string }

/**
 * A field of a user-defined type.
 *
 * @category models
 * @since 0.1.0
 */
export interface UdtField {
  /** As it was defined: case counts. */
  readonly name: string
  /** What its values are. */
  readonly type: CqlType
}

/** By every name that CQL has for them. */
export const scalarsByName = new Map<string, CqlType>()
/** By the code of an `[option]`. */
export const scalarsByCode = new Map<number, CqlType>()
for (const name of Object.keys(SCALAR_CODES) as Array<ScalarName>) {
  const type: CqlType = { _tag: "Scalar", name }
  scalarsByName.set(name, type)
  scalarsByCode.set(SCALAR_CODES[name], type)
}
scalarsByName.set("varchar", scalarsByName.get("text")!)
// Code 0x0a was "text" in protocol v1 and v2; some servers still print it.
scalarsByCode.set(0x0a, scalarsByName.get("text")!)

/**
 * A scalar type.
 *
 * @category constructors
 * @since 0.1.0
 */
export const scalar = (name: ScalarName): CqlType => scalarsByName.get(name)!
