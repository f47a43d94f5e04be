import { Reader } from "@effect-scylla/protocol/Reader"
import { emptyPage, type Page, type Row, type RowDecoder, RowDecoders } from "@effect-scylla/protocol/RowDecoder"

interface Kept extends Page {
  readonly bytes: Uint8Array
  readonly rows: Array<Row>
}

/**
 * Decodes what one statement answers again and again: a page that is byte for byte the one before it is the same array of the same rows.
 * What of the rows is no copy lies in the bytes of the page that is kept, which nobody changes.
 */
export class SamePages extends RowDecoders {
  private kept: Kept | undefined

  override read(r: Reader, expected: RowDecoder | undefined, page: Page): Array<Row> {
    const { bytes, end, pos } = r
    const before = this.kept
    const isSame = before !== undefined && before.bytes.length === end - pos &&
      bytes.compare(before.bytes, 0, end - pos, pos, end) === 0
    const { decoder, newMetadataId, pagingState, rows } = isSame
      ? before
      : this.kept = this.decode(Uint8Array.prototype.slice.call(bytes, pos, end), expected)
    r.pos = end
    page.pagingState = pagingState
    page.decoder = decoder
    page.newMetadataId = newMetadataId
    return rows
  }

  private decode(bytes: Uint8Array, expected: RowDecoder | undefined): Kept {
    const page = emptyPage()
    const rows = super.read(Reader.from(bytes), expected, page)
    return { ...page, bytes, rows }
  }
}
