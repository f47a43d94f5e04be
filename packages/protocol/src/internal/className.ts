import { allocate, asFast } from "./fastBuffer.ts"
import { type CqlType, scalar, type ScalarName, type UdtField } from "./types.ts"

/** The package of Cassandra's own types; ScyllaDB names its types alike. */
const MARSHAL = "org.apache.cassandra.db.marshal."

/** The class of each scalar type (Cassandra, `CQL3Type.Native`). */
const CLASSES: Record<ScalarName, string> = {
  ascii: "AsciiType",
  bigint: "LongType",
  blob: "BytesType",
  boolean: "BooleanType",
  counter: "CounterColumnType",
  decimal: "DecimalType",
  double: "DoubleType",
  float: "FloatType",
  int: "Int32Type",
  timestamp: "TimestampType",
  uuid: "UUIDType",
  text: "UTF8Type",
  varint: "IntegerType",
  timeuuid: "TimeUUIDType",
  inet: "InetAddressType",
  date: "SimpleDateType",
  time: "TimeType",
  smallint: "ShortType",
  tinyint: "ByteType",
  duration: "DurationType"
}

const scalars = new Map(Object.entries(CLASSES).map(([name, simple]) => [simple, name as ScalarName]))
// What tables of Cassandra before 1.2 have in place of TimestampType.
scalars.set("DateType", "timestamp")
scalars.set("LegacyTimeUUIDType", "timeuuid")

const hex = (text: string): string => {
  const bytes = asFast(new TextEncoder().encode(text))
  return bytes.hexSlice(0, bytes.length)
}

/** The class name of a type, as a server would write it. */
export const classNameOf = (type: CqlType): string => {
  switch (type._tag) {
    case "Scalar":
      return MARSHAL + CLASSES[type.name]
    case "List":
      return `${MARSHAL}ListType(${classNameOf(type.element)})`
    case "Set":
      return `${MARSHAL}SetType(${classNameOf(type.element)})`
    case "Map":
      return `${MARSHAL}MapType(${classNameOf(type.key)},${classNameOf(type.value)})`
    case "Tuple":
      return `${MARSHAL}TupleType(${type.elements.map(classNameOf).join(",")})`
    case "Udt": {
      const fields = type.fields.map((field) => `${hex(field.name)}:${classNameOf(field.type)}`)
      return `${MARSHAL}UserType(${[type.keyspace, hex(type.name), ...fields].join(",")})`
    }
    case "Vector":
      // The blanks are Cassandra's.
      return `${MARSHAL}VectorType(${classNameOf(type.element)} , ${type.dimension})`
    case "Custom":
      return type.className
  }
}

/** How many elements a vector may be declared to have: as many as a positive `int`. */
export const MAX_DIMENSION = 2 ** 31 - 1

/** Nesting past this is not a schema but an attack on the stack. */
export const MAX_DEPTH = 64

/** Whether every field has a name of its own: values are objects, which would lose one of two. */
export const areDistinct = (fields: ReadonlyArray<UdtField>): boolean =>
  new Set(fields.map((field) => field.name)).size === fields.length

/** Thrown and caught in here: a text that is no class name. */
const malformed = Symbol("malformed")

const fail = (): never => {
  // oxlint-disable-next-line no-throw-literal
  throw malformed
}

/** Reads one class name. Whatever it does not know becomes a custom type of that very text. */
class Parser {
  private readonly text: string
  private readonly word = /\s*([\w.$+&-]*)\s*/y
  private at = 0
  private depth = 0

  constructor(text: string) {
    this.text = text
  }

  /** The next word, which is not empty; steps over blanks on both sides. */
  private name(): string {
    this.word.lastIndex = this.at
    const found = this.word.exec(this.text)![1]!
    this.at = this.word.lastIndex
    return found === "" ? fail() : found
  }

  private take(token: string): void {
    if (this.text[this.at] !== token) fail()
    this.at++
  }

  /** Whether the list of arguments goes on; steps over the comma or the closing parenthesis. */
  private more(): boolean {
    const token = this.text[this.at++]
    return token === "," || (token === ")" ? false : fail())
  }

  /** The types up to the closing parenthesis. */
  private types(count?: number): ReadonlyArray<CqlType> {
    const out: Array<CqlType> = []
    do out.push(this.type())
    while (this.more())
    if (count !== undefined && out.length !== count) fail()
    return out
  }

  /** Text behind hexadecimal digits. */
  private hexText(): string {
    const digits = this.name()
    if (!/^(?:[\da-f]{2})+$/i.test(digits)) fail()
    const bytes = allocate(digits.length / 2)
    bytes.hexWrite(digits, 0)
    return bytes.utf8Slice(0, bytes.length)
  }

  private udt(): CqlType {
    const keyspace = this.name()
    this.take(",")
    const name = this.hexText()
    const fields: Array<UdtField> = []
    while (this.more()) {
      const field = this.hexText()
      this.take(":")
      fields.push({ name: field, type: this.type() })
    }
    return areDistinct(fields) ? { _tag: "Udt", keyspace, name, fields } : fail()
  }

  private vector(): CqlType {
    const element = this.type()
    this.take(",")
    const dimension = Number(this.name())
    this.take(")")
    if (!Number.isInteger(dimension) || dimension < 1 || dimension > MAX_DIMENSION) fail()
    return { _tag: "Vector", element, dimension }
  }

  private skipArguments(): void {
    let open = 0
    do {
      const token = this.text[this.at++]
      if (token === undefined) fail()
      open += token === "(" ? 1 : token === ")" ? -1 : 0
    } while (open > 0)
  }

  private type(): CqlType {
    const start = this.at
    const full = this.name()
    const simple = full.startsWith(MARSHAL) ? full.slice(MARSHAL.length) : full
    const known = scalars.get(simple)
    if (known !== undefined) return scalar(known)
    if (this.text[this.at] !== "(") return { _tag: "Custom", className: full }
    if (++this.depth > MAX_DEPTH) fail()
    const type = this.parametrised(simple, start)
    this.depth--
    // A blank behind the parenthesis, as in front of a vector's dimension.
    while (this.text[this.at] === " ") this.at++
    return type
  }

  private parametrised(simple: string, start: number): CqlType {
    const opened = this.at++
    switch (simple) {
      case "FrozenType":
      case "ReversedType":
        return this.types(1)[0]!
      case "ListType":
        return { _tag: "List", element: this.types(1)[0]! }
      case "SetType":
        return { _tag: "Set", element: this.types(1)[0]! }
      case "MapType": {
        const [key, value] = this.types(2) as [CqlType, CqlType]
        return { _tag: "Map", key, value }
      }
      case "TupleType":
        return { _tag: "Tuple", elements: this.types() }
      case "UserType":
        return this.udt()
      case "VectorType":
        return this.vector()
      default:
        this.at = opened
        this.skipArguments()
        return { _tag: "Custom", className: this.text.slice(start, this.at).trim() }
    }
  }

  whole(): CqlType {
    const type = this.type()
    return this.at === this.text.length ? type : fail()
  }
}

/** The type that a class name stands for, `undefined` for a text that is none. */
export const parseClassName = (text: string): CqlType | undefined => {
  try {
    return new Parser(text).whole()
  } catch (error) {
    if (error === malformed) return undefined
    throw error
  }
}
