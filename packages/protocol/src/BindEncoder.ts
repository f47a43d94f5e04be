/**
 * Values of a prepared statement into bytes, straight into the request's buffer.
 *
 * @since 0.1.0
 */
import { type CodecOptions, defaultOptions } from "./Codec.ts"
import { format } from "./CqlType.ts"
import { bind, inline, text, variableEncoder } from "./internal/encoders.ts"
import { canGenerate } from "./internal/generate.ts"
import { toEncodeError } from "./internal/mismatch.ts"
import { writeUtf8 } from "./internal/text.ts"
import type { ValueEncoder } from "./internal/valueCodec.ts"
import type { Column } from "./Metadata.ts"
import { EncodeError } from "./ProtocolError.ts"
import { Uuid } from "./Uuid.ts"
import type { Writer } from "./Writer.ts"

type Write = (w: Writer, values: ReadonlyArray<unknown>) => void

/** Wider statements are interpreted. */
const MAX_GENERATED = 256

/**
 * Straight-line code for one statement, where the platform allows `new Function`: the common value of a common type is
 * written in place, so that each call site sees one type. `one` writes any other value, `rest` everything from a position
 * on; that is also what happens where there is no room, because then the buffer is replaced.
 */
const generate = (
  encoders: ReadonlyArray<ValueEncoder>,
  one: (w: Writer, value: unknown, i: number) => void,
  rest: (w: Writer, values: ReadonlyArray<unknown>, from: number) => void
): Write => {
  // Bytes that the columns behind each one take, of those with a fixed size.
  let behind = 0
  let code = ""
  for (let i = encoders.length - 1; i >= 0; i--) {
    const encoder = encoders[i]!
    const fixed = inline.get(encoder)
    const fast = fixed !== undefined
      ? `if(${fixed.when}){${fixed.write};p+=${fixed.size}}else`
      : encoder === text
      ? `if(typeof x==="string"&&b.length-p-${behind + 4}>=x.length*3){m=t(b,p+4,x);v.setInt32(p,m);p+=4+m}else`
      : ""
    code = `x=a[${i}];${fast}{w.pos=p;one(w,x,${i});p=w.pos;v=w.view;b=w.bytes;` +
      `if(b.length-p<${behind})return rest(w,a,${i + 1})}${code}`
    behind += fixed === undefined ? 0 : fixed.size
  }
  const body = `return function(w,a){let p=w.pos,v=w.view,b=w.bytes,x,m=0;` +
    `if(b.length-p<${behind})return rest(w,a,0);${code}w.pos=p}`
  return new Function("U", "D", "t", "one", "rest", body)(Uuid, Date, writeUtf8, one, rest) as Write
}

/**
 * Codecs of one's own (the other codec options mean nothing here), and how to compile: `generated` false takes the slower way without `new Function`, which writes the same bytes and is what
 * happens anyway where code generation is forbidden.
 *
 * @category models
 * @since 0.1.0
 */
export interface BindEncoderOptions extends CodecOptions {
  /** Whether code may be generated for the statement. Default true. */
  readonly generated?: boolean | undefined
}

/**
 * The encoder of one statement's bound variables.
 *
 * @category models
 * @since 0.1.0
 */
export class BindEncoder {
  /** The variables, in the order of their values. */
  readonly columns: ReadonlyArray<Column>
  private readonly encoders: ReadonlyArray<ValueEncoder>
  private readonly types: ReadonlyArray<string>
  private readonly names: ReadonlySet<string>
  /** Whether no name is one that every object has a value for. */
  private readonly areOwn: boolean
  /** As many values as there are variables: a copy is an array of just that size. */
  private readonly blank: ReadonlyArray<unknown>
  private readonly writeAll: Write

  /** Throws `TypeError` for what `Codec.check` finds wrong with the options. */
  constructor(columns: ReadonlyArray<Column>, options: BindEncoderOptions = defaultOptions) {
    this.columns = columns
    this.encoders = columns.map((column) => variableEncoder(column, options))
    this.types = columns.map((column) => format(column.type))
    this.names = new Set(columns.map((column) => column.name))
    this.blank = columns.map(() => undefined)
    this.areOwn = !columns.some((column) => column.name in Object.prototype)
    const one = (w: Writer, value: unknown, i: number): void => this.writeOne(w, i, value)
    const rest = (w: Writer, values: ReadonlyArray<unknown>, from: number): void => this.writeRest(w, values, from)
    this.writeAll = options.generated !== false && canGenerate && columns.length <= MAX_GENERATED
      ? generate(this.encoders, one, rest)
      : (w, values) => rest(w, values, 0)
  }

  /**
   * Writes the values as the protocol wants them behind their count. Throws `EncodeError`, naming the column and its CQL
   * type, for a value that does not fit or a wrong number of values; what was written by then is the caller's to forget.
   */
  write(w: Writer, values: ReadonlyArray<unknown>): void {
    if (values.length !== this.encoders.length) throw this.wrongCount(values.length)
    this.writeAll(w, values)
  }

  /**
   * Writes one variable alone: its 4-byte length and the value. For the parts of a partition key, which must be known
   * before it is known to whom the values go. Throws `EncodeError`.
   */
  writeOne(w: Writer, i: number, value: unknown): void {
    try {
      if (typeof value === "object" || value === undefined) bind(w, this.encoders[i]!, this.types[i]!, value)
      else this.encoders[i]!(w, value)
    } catch (error) {
      throw toEncodeError(error, this.columns[i]!.name)
    }
  }

  private writeRest(w: Writer, values: ReadonlyArray<unknown>, from: number): void {
    for (let i = from; i < values.length; i++) this.writeOne(w, i, values[i])
  }

  /**
   * The values in the statement's order, of an object that has them by the variables' names. The operator in a name that a
   * server gave, as in `in(c)`, may be spelled in upper case or in lower case: servers change between the two. Throws
   * `EncodeError` for a name that is missing or unknown.
   */
  order(values: Readonly<Record<string, unknown>>): ReadonlyArray<unknown> {
    const { columns } = this
    const ordered = this.blank.slice()
    for (let i = 0; i < columns.length; i++) {
      const value = values[columns[i]!.name]
      if (value === undefined) return this.orderWithCare(values)
      ordered[i] = value
    }
    let given = 0
    for (const _ in values) given++
    return given === this.names.size && this.areOwn ? ordered : this.orderWithCare(values)
  }

  /** `order` where something may be missing, too much, inherited or spelled in another way. */
  private orderWithCare(values: Readonly<Record<string, unknown>>): ReadonlyArray<unknown> {
    const found: Array<unknown> = []
    const has: Array<boolean> = []
    for (const name of Object.keys(values)) {
      const spelling = this.names.has(name) ? name : this.spelled(name)
      if (spelling === undefined) {
        throw new EncodeError({
          message: `the statement has no variable ${JSON.stringify(name)}, it has ${this.variables()}`,
          path: name,
          cqlType: ""
        })
      }
      for (const [i, column] of this.columns.entries()) {
        if (column.name !== spelling) continue
        found[i] = values[name]
        has[i] = true
      }
    }
    for (const [i, column] of this.columns.entries()) {
      if (has[i] === true) continue
      throw new EncodeError({
        message: `${column.name}: no value for this variable of type ${this.types[i]}`,
        path: column.name,
        cqlType: this.types[i]!
      })
    }
    return found
  }

  /** The statement's spelling of the name, if that is the name of an operator on a column. */
  private spelled(name: string): string | undefined {
    const operator = /^\w+(?=\()/.exec(name)?.[0]
    if (operator === undefined) return undefined
    const others = [operator.toLowerCase(), operator.toUpperCase()].map((other) => other + name.slice(operator.length))
    return others.find((other) => this.names.has(other))
  }

  private variables(): string {
    return this.columns.map((column, i) => `${column.name} ${this.types[i]}`).join(", ") || "none"
  }

  private wrongCount(given: number): EncodeError {
    return new EncodeError({
      message: `the statement takes ${this.encoders.length} values (${this.variables()}), got ${given}`,
      path: "",
      cqlType: ""
    })
  }
}
