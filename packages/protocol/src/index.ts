/**
 * The CQL native protocol: frames, messages, types and values, without I/O.
 *
 * @since 0.1.0
 */
export * as BindEncoder from "./BindEncoder.ts"
export * as Codec from "./Codec.ts"
export * as Compression from "./Compression.ts"
export * as Consistency from "./Consistency.ts"
export * as CqlType from "./CqlType.ts"
export * as Crc from "./Crc.ts"
export * as Dialect from "./Dialect.ts"
export * as Features from "./Features.ts"
export * as Frame from "./Frame.ts"
export * as Framing from "./Framing.ts"
export * as Metadata from "./Metadata.ts"
export * as Negotiation from "./Negotiation.ts"
export * as ProtocolError from "./ProtocolError.ts"
export * as Reader from "./Reader.ts"
export * as Request from "./Request.ts"
export * as Response from "./Response.ts"
export * as RowDecoder from "./RowDecoder.ts"
export * as RowShape from "./RowShape.ts"
export * as Segment from "./Segment.ts"
export * as ServerError from "./ServerError.ts"
export * as TabletRouting from "./TabletRouting.ts"
export * as Uuid from "./Uuid.ts"
export * as Value from "./Value.ts"
export * as Writer from "./Writer.ts"
