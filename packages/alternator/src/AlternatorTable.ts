/**
 * A table whose items are typed by a Schema and whose key is known: `AlternatorTable.make("users", { … })`.
 *
 * Items are written as the schema encodes them and read as it decodes them. What cannot be encoded is never sent
 * (`RequestInvalid`); a stored item that does not fit is an error (`MalformedResponse`).
 *
 * @stability unstable
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import type { AlternatorClient, RequestOptions } from "./AlternatorClient.ts"
import * as AlternatorError from "./AlternatorError.ts"
import type { Item, ReadItem } from "./AttributeValue.ts"
import * as Batches from "./Batches.ts"
import type {
  CreateTableInput,
  DeleteItemInput,
  PutItemInput,
  QueryInput,
  ScanInput,
  TableDescription
} from "./Operations.ts"
import * as Paging from "./Paging.ts"
import * as Waiters from "./Waiters.ts"

type Fields = Schema.Struct.Fields
type ItemOf<F extends Fields> = Schema.Struct<F>["Type"]
type Pick_<F extends Fields, K extends keyof F> = { readonly [P in K]: F[P]["Type"] }

/**
 * An attribute of the key, and its type: string, number or binary.
 *
 * @category models
 * @since 0.1.0
 */
export interface KeyAttribute<Name extends string> {
  readonly name: Name
  readonly type: "S" | "N" | "B"
}

/**
 * What a table is made of.
 *
 * @category models
 * @since 0.1.0
 */
export interface Definition<F extends Fields, PK extends keyof F & string, SK extends keyof F & string> {
  readonly item: Schema.Struct<F>
  readonly partitionKey: KeyAttribute<PK>
  readonly sortKey?: KeyAttribute<SK> | undefined
}

type Result<A> = Effect.Effect<A, AlternatorError.AlternatorError>

/**
 * A typed table. `Key` names the partition key and, if there is one, the sort key.
 *
 * @category models
 * @since 0.1.0
 */
export interface AlternatorTable<F extends Fields, PK extends keyof F & string, SK extends keyof F & string> {
  readonly name: string
  /** Creates it, billed by request, and waits until it takes requests. */
  readonly create: (client: AlternatorClient, more?: Partial<CreateTableInput>) => Result<TableDescription>
  readonly put: (
    client: AlternatorClient,
    item: ItemOf<F>,
    more?: Omit<PutItemInput, "TableName" | "Item" | "ReturnValues">,
    options?: RequestOptions
  ) => Result<void>
  readonly get: (
    client: AlternatorClient,
    key: Pick_<F, PK | SK>,
    options?: RequestOptions & { readonly consistent?: boolean | undefined }
  ) => Result<Option.Option<ItemOf<F>>>
  readonly remove: (
    client: AlternatorClient,
    key: Pick_<F, PK | SK>,
    more?: Omit<DeleteItemInput, "TableName" | "Key" | "ReturnValues">,
    options?: RequestOptions
  ) => Result<void>
  /** All items of a partition, in the order of the sort key. */
  readonly query: (
    client: AlternatorClient,
    partition: Pick_<F, PK>,
    more?: Pick<QueryInput, "ConsistentRead" | "Limit" | "ScanIndexForward">,
    options?: RequestOptions
  ) => Stream.Stream<ItemOf<F>, AlternatorError.AlternatorError>
  readonly scan: (
    client: AlternatorClient,
    more?: Pick<ScanInput, "ConsistentRead" | "Limit">,
    options?: RequestOptions & { readonly segments?: number | undefined }
  ) => Stream.Stream<ItemOf<F>, AlternatorError.AlternatorError>
  /** Puts any number of items, in batches; of several with one key the last. */
  readonly putAll: (
    client: AlternatorClient,
    items: ReadonlyArray<ItemOf<F>>,
    options?: Batches.BatchOptions
  ) => Result<void>
}

/**
 * A table from the Schema of its items and its key. Nothing is created on the server, see `create`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <const F extends Fields, PK extends keyof F & string, SK extends keyof F & string = PK>(
  name: string,
  definition: Definition<F, PK, SK>
): AlternatorTable<F, PK, SK> => {
  const { partitionKey, sortKey } = definition
  const keys = sortKey === undefined ? [partitionKey] : [partitionKey, sortKey]
  const fieldsOf = (names: ReadonlyArray<string>) =>
    Schema.Struct(Object.fromEntries(names.map((key) => [key, definition.item.fields[key]!])))
  // Services of a schema would have to be provided with each call; a table has none.
  type Codec = Schema.Codec<any, any>
  const itemCodec = definition.item as unknown as Codec
  const keyCodec = fieldsOf(keys.map(({ name }) => name)) as unknown as Codec
  const partitionCodec = fieldsOf([partitionKey.name]) as unknown as Codec

  const encode = (codec: Codec, value: unknown, operation: string): Result<Item> =>
    Effect.mapError(
      Schema.encodeEffect(codec)(value) as Effect.Effect<Item, Schema.SchemaError>,
      (error) =>
        AlternatorError.of(
          new AlternatorError.RequestInvalid({ message: `${name}: ${error.message}`, cause: error }),
          operation
        )
    )
  const decode = (item: ReadItem, operation: string): Result<ItemOf<F>> =>
    Effect.mapError(
      Schema.decodeEffect(itemCodec)(item) as Effect.Effect<ItemOf<F>, Schema.SchemaError>,
      (error) =>
        new AlternatorError.AlternatorError({
          reason: new AlternatorError.MalformedResponse({
            message: `an item of ${name} does not fit its schema: ${error.message}`,
            status: 200,
            cause: error
          }),
          operation,
          outcome: "Rejected",
          attempts: []
        })
    )

  return {
    name,
    create: (client, more) =>
      Effect.andThen(
        client.createTable({
          TableName: name,
          BillingMode: "PAY_PER_REQUEST",
          KeySchema: keys.map((key, i) => ({ AttributeName: key.name, KeyType: i === 0 ? "HASH" : "RANGE" })),
          AttributeDefinitions: keys.map((key) => ({ AttributeName: key.name, AttributeType: key.type })),
          ...more
        }),
        Waiters.tableExists(client, name)
      ),
    put: (client, item, more, options) =>
      Effect.flatMap(
        encode(itemCodec, item, "PutItem"),
        (Item) => Effect.asVoid(client.putItem({ ...more, TableName: name, Item }, options))
      ),
    get: (client, key, options) =>
      Effect.flatMap(encode(keyCodec, key, "GetItem"), (Key) =>
        Effect.flatMap(
          client.getItem({ TableName: name, Key, ConsistentRead: options?.consistent }, options),
          ({ Item }) => Item === undefined ? Effect.succeedNone : Effect.asSome(decode(Item, "GetItem"))
        )),
    remove: (client, key, more, options) =>
      Effect.flatMap(
        encode(keyCodec, key, "DeleteItem"),
        (Key) => Effect.asVoid(client.deleteItem({ ...more, TableName: name, Key }, options))
      ),
    query: (client, partition, more, options) =>
      Stream.unwrap(Effect.map(encode(partitionCodec, partition, "Query"), (key) =>
        Paging.query(client, {
          ...more,
          TableName: name,
          KeyConditionExpression: "#p = :p",
          ExpressionAttributeNames: { "#p": partitionKey.name },
          ExpressionAttributeValues: { ":p": key[partitionKey.name] }
        }, options))).pipe(Stream.mapEffect((item) => decode(item, "Query"))),
    scan: (client, more, options) =>
      Stream.mapEffect(
        Paging.scan(client, { ...more, TableName: name }, options),
        (item) => decode(item, "Scan")
      ),
    putAll: (client, items, options) =>
      Effect.flatMap(
        Effect.forEach(items, (item) => encode(itemCodec, item, "BatchWriteItem")),
        (encoded) =>
          Batches.write(client, { [name]: encoded.map((Item) => ({ PutRequest: { Item } })) }, {
            ...options,
            keys: { [name]: keys.map((key) => key.name) }
          })
      )
  }
}
