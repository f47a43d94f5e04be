import type * as Request from "@effect-scylla/protocol/Request"
import type { RowDecoder } from "@effect-scylla/protocol/RowDecoder"
import * as Idempotence from "../Idempotence.ts"
import * as StatementKind from "../StatementKind.ts"
import { Templates } from "./templates.ts"
import { Usual } from "./usual.ts"

/** Texts that are remembered. */
const KEPT = 1_000
/** Longer ones are hardly sent twice. */
const LONGEST = 16_384

/** A statement that is sent as a text, and what can be told of it. */
export class PlainText {
  readonly form = "text"
  readonly text: string
  readonly kind: StatementKind.StatementKind
  readonly hasVariables: boolean
  readonly isUse: boolean
  /** Reads its rows, whose metadata is checked; replaced by the shape that was seen last. */
  decoder: RowDecoder | undefined = undefined
  readonly usual = new Usual()
  readonly templates = new Templates<Request.QueryTemplate>()

  constructor(text: string) {
    this.text = text
    this.kind = StatementKind.of(text)
    this.hasVariables = StatementKind.hasVariables(text)
    this.isUse = this.kind.type === "use"
  }

  private certain: boolean | undefined = undefined
  /** It can be done twice for certain. */
  get isCertain(): boolean {
    return this.certain ??= Idempotence.isCertain(this.text)
  }
}

/** Texts that were sent lately: each is read for what it does once. The oldest are forgotten past a bound. */
export class PlainTexts {
  private readonly known = new Map<string, PlainText>()

  of(text: string): PlainText {
    const known = this.known.get(text)
    if (known !== undefined) return known
    const plain = new PlainText(text)
    if (text.length <= LONGEST) {
      if (this.known.size >= KEPT) this.known.delete(this.known.keys().next().value!)
      this.known.set(text, plain)
    }
    return plain
  }
}
