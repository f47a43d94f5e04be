/**
 * The operations of Alternator: what they take and give. Names are those of the DynamoDB API; items, keys and the values of
 * expressions are plain values, see {@link AttributeValue}.
 *
 * The parameters that expressions have replaced (`Expected`, `AttributeUpdates`, `KeyConditions`, …) are there too, for
 * programs that have them; a request has either these or expressions.
 *
 * @stability unstable
 * @since 0.1.0
 */
import type { Item, ReadItem, Value } from "./AttributeValue.ts"

type Names = { readonly [placeholder: string]: string }

interface Expressions {
  readonly ExpressionAttributeNames?: Names | undefined
  readonly ExpressionAttributeValues?: Item | undefined
}

/** How an attribute is compared with values, in the parameters that expressions have replaced. @category models @since 0.1.0 */
export type ComparisonOperator =
  | "EQ"
  | "NE"
  | "IN"
  | "LE"
  | "LT"
  | "GE"
  | "GT"
  | "BETWEEN"
  | "NOT_NULL"
  | "NULL"
  | "CONTAINS"
  | "NOT_CONTAINS"
  | "BEGINS_WITH"
/** A condition on one attribute. @category models @since 0.1.0 */
export interface Condition {
  readonly ComparisonOperator: ComparisonOperator
  readonly AttributeValueList?: ReadonlyArray<Value> | undefined
}
/** A condition on one attribute of the stored item: its value, that it is not there, or a comparison. @category models @since 0.1.0 */
export interface ExpectedAttribute {
  readonly Value?: Value | undefined
  readonly Exists?: boolean | undefined
  readonly ComparisonOperator?: ComparisonOperator | undefined
  readonly AttributeValueList?: ReadonlyArray<Value> | undefined
}
/** A change to one attribute; `PUT` where no action is said. @category models @since 0.1.0 */
export interface AttributeUpdate {
  readonly Value?: Value | undefined
  readonly Action?: "PUT" | "ADD" | "DELETE" | undefined
}
type ByAttribute<A> = { readonly [attribute: string]: A }

interface Legacy {
  /** Whether all conditions must hold, as they must by default, or one of them. */
  readonly ConditionalOperator?: "AND" | "OR" | undefined
}

interface Conditional extends Expressions, Legacy {
  readonly Expected?: ByAttribute<ExpectedAttribute> | undefined
  readonly ConditionExpression?: string | undefined
  readonly ReturnValuesOnConditionCheckFailure?: "NONE" | "ALL_OLD" | undefined
}

/** Capacity is counted as DynamoDB does, where the server counts it. @category models @since 0.1.0 */
export interface ConsumedCapacity {
  readonly TableName?: string
  readonly CapacityUnits?: number
}

interface Capacity {
  readonly ReturnConsumedCapacity?: "NONE" | "TOTAL" | "INDEXES" | undefined
}

/** One item by its whole key. @category models @since 0.1.0 */
export interface GetItemInput extends Capacity {
  readonly TableName: string
  readonly Key: Item
  readonly ConsistentRead?: boolean | undefined
  readonly ProjectionExpression?: string | undefined
  readonly AttributesToGet?: ReadonlyArray<string> | undefined
  readonly ExpressionAttributeNames?: Names | undefined
}
/** The item, if there is one. @category models @since 0.1.0 */
export interface GetItemOutput {
  readonly Item?: ReadItem
  readonly ConsumedCapacity?: ConsumedCapacity
}
/** An item that takes the place of whatever has its key. @category models @since 0.1.0 */
export interface PutItemInput extends Conditional, Capacity {
  readonly TableName: string
  readonly Item: Item
  readonly ReturnValues?: "NONE" | "ALL_OLD" | undefined
}
/** What `ReturnValues` asked for. @category models @since 0.1.0 */
export interface WriteOutput {
  readonly Attributes?: ReadItem
  readonly ConsumedCapacity?: ConsumedCapacity
}
/** A change to an item, which is made if it does not exist. @category models @since 0.1.0 */
export interface UpdateItemInput extends Conditional, Capacity {
  readonly TableName: string
  readonly Key: Item
  readonly UpdateExpression?: string | undefined
  readonly AttributeUpdates?: ByAttribute<AttributeUpdate> | undefined
  readonly ReturnValues?: "NONE" | "ALL_OLD" | "UPDATED_OLD" | "ALL_NEW" | "UPDATED_NEW" | undefined
}
/** An item to be gone. @category models @since 0.1.0 */
export interface DeleteItemInput extends Conditional, Capacity {
  readonly TableName: string
  readonly Key: Item
  readonly ReturnValues?: "NONE" | "ALL_OLD" | undefined
}

interface Read extends Expressions, Legacy, Capacity {
  readonly TableName: string
  readonly IndexName?: string | undefined
  readonly FilterExpression?: string | undefined
  readonly ProjectionExpression?: string | undefined
  readonly AttributesToGet?: ReadonlyArray<string> | undefined
  readonly ConsistentRead?: boolean | undefined
  readonly Limit?: number | undefined
  readonly Select?: "ALL_ATTRIBUTES" | "ALL_PROJECTED_ATTRIBUTES" | "SPECIFIC_ATTRIBUTES" | "COUNT" | undefined
  readonly ExclusiveStartKey?: Item | undefined
}
interface Ordered extends Read {
  readonly QueryFilter?: ByAttribute<Condition> | undefined
  readonly ScanIndexForward?: boolean | undefined
}
/**
 * A search for the items whose vectors are nearest, in an index of vectors; `Limit`, at most 1000, says how many. One answer
 * has them all. ScyllaDB alone has this.
 *
 * @category models
 * @since 0.1.0
 */
export interface VectorSearch {
  /** A `Float32Array`, or an array of numbers. */
  readonly QueryVector: Value
  /** `SIMILARITY` gives `Scores` to the page, higher ones for nearer items. Default: `NONE`. */
  readonly ReturnScores?: "NONE" | "SIMILARITY" | undefined
}
interface Nearest extends Read {
  readonly IndexName: string
  readonly Limit: number
  readonly VectorSearch: VectorSearch
  /** What of the index is searched, by key attributes. */
  readonly KeyConditionExpression?: string | undefined
  readonly KeyConditions?: undefined
  readonly QueryFilter?: undefined
  readonly ScanIndexForward?: undefined
}
/** A page of a partition, of a table or an index; of which, an expression says, or conditions do. @category models @since 0.1.0 */
export type QueryInput =
  | Nearest
  | (Ordered & { readonly KeyConditionExpression: string; readonly KeyConditions?: undefined })
  | (Ordered & { readonly KeyConditions: ByAttribute<Condition>; readonly KeyConditionExpression?: undefined })
/** A page of a whole table or index, or of a segment of it. @category models @since 0.1.0 */
export interface ScanInput extends Read {
  readonly ScanFilter?: ByAttribute<Condition> | undefined
  readonly Segment?: number | undefined
  readonly TotalSegments?: number | undefined
}
/** One page. @category models @since 0.1.0 */
export interface Page {
  /** None when only a count was asked for. */
  readonly Items?: ReadonlyArray<ReadItem>
  readonly Count: number
  readonly ScannedCount: number
  /** Where the next page starts; none after the last. */
  readonly LastEvaluatedKey?: ReadItem
  /** Of each item, where a {@link VectorSearch} asked for them. */
  readonly Scores?: ReadonlyArray<number>
  readonly ConsumedCapacity?: ConsumedCapacity
}

/** One write of a batch. @category models @since 0.1.0 */
export type WriteRequest =
  | { readonly PutRequest: { readonly Item: Item } }
  | { readonly DeleteRequest: { readonly Key: Item } }
/** Writes of items of some tables, without conditions. @category models @since 0.1.0 */
export interface BatchWriteItemInput extends Capacity {
  readonly RequestItems: { readonly [table: string]: ReadonlyArray<WriteRequest> }
}
/** What the server left undone. @category models @since 0.1.0 */
export interface BatchWriteItemOutput {
  readonly UnprocessedItems?: { readonly [table: string]: ReadonlyArray<WriteRequest> }
}
/** Keys of one table in a batch, and how to read them. @category models @since 0.1.0 */
export interface KeysAndAttributes {
  readonly Keys: ReadonlyArray<Item>
  readonly ConsistentRead?: boolean | undefined
  readonly ProjectionExpression?: string | undefined
  readonly AttributesToGet?: ReadonlyArray<string> | undefined
  readonly ExpressionAttributeNames?: Names | undefined
}
/** Keys of some tables. @category models @since 0.1.0 */
export interface BatchGetItemInput extends Capacity {
  readonly RequestItems: { readonly [table: string]: KeysAndAttributes }
}
/** Items that were found, in no order, and keys that the server left unread. @category models @since 0.1.0 */
export interface BatchGetItemOutput {
  readonly Responses?: { readonly [table: string]: ReadonlyArray<ReadItem> }
  readonly UnprocessedKeys?: { readonly [table: string]: KeysAndAttributes }
}

/** A part of a table's key. @category models @since 0.1.0 */
export interface KeySchemaElement {
  readonly AttributeName: string
  readonly KeyType: "HASH" | "RANGE"
}
/** The type of an attribute that is part of a key. @category models @since 0.1.0 */
export interface AttributeDefinition {
  readonly AttributeName: string
  readonly AttributeType: "S" | "N" | "B"
}
interface Throughput {
  readonly ReadCapacityUnits: number
  readonly WriteCapacityUnits: number
}
/** An index to be created. @category models @since 0.1.0 */
export interface SecondaryIndex {
  readonly IndexName: string
  readonly KeySchema: ReadonlyArray<KeySchemaElement>
  readonly Projection: {
    readonly ProjectionType: "ALL" | "KEYS_ONLY" | "INCLUDE"
    readonly NonKeyAttributes?: ReadonlyArray<string> | undefined
  }
  readonly ProvisionedThroughput?: Throughput | undefined
}
/**
 * An index of vectors to be created, on tables with tablets. ScyllaDB alone has these.
 *
 * @category models
 * @since 0.1.0
 */
export interface VectorIndex {
  readonly IndexName: string
  readonly VectorAttribute: { readonly AttributeName: string; readonly Dimensions: number }
  readonly Projection?: { readonly ProjectionType: "KEYS_ONLY" } | undefined
  /** Default: `COSINE`. */
  readonly SimilarityFunction?: "COSINE" | "EUCLIDEAN" | "DOT_PRODUCT" | undefined
}
/** Whether changes of a table can be read as a stream, and what of them. @category models @since 0.1.0 */
export interface StreamSpecification {
  readonly StreamEnabled: boolean
  readonly StreamViewType?: "KEYS_ONLY" | "NEW_IMAGE" | "OLD_IMAGE" | "NEW_AND_OLD_IMAGES" | undefined
}
/** A label of a table; `system:write_isolation` says when Alternator uses lightweight transactions. @category models @since 0.1.0 */
export interface Tag {
  readonly Key: string
  readonly Value: string
}
/** A table to be created. @category models @since 0.1.0 */
export interface CreateTableInput {
  readonly TableName: string
  readonly KeySchema: ReadonlyArray<KeySchemaElement>
  readonly AttributeDefinitions: ReadonlyArray<AttributeDefinition>
  readonly BillingMode?: "PAY_PER_REQUEST" | "PROVISIONED" | undefined
  readonly ProvisionedThroughput?: Throughput | undefined
  readonly GlobalSecondaryIndexes?: ReadonlyArray<SecondaryIndex> | undefined
  readonly LocalSecondaryIndexes?: ReadonlyArray<SecondaryIndex> | undefined
  readonly VectorIndexes?: ReadonlyArray<VectorIndex> | undefined
  readonly StreamSpecification?: StreamSpecification | undefined
  readonly Tags?: ReadonlyArray<Tag> | undefined
}
/** What to change of a table. @category models @since 0.1.0 */
export interface UpdateTableInput {
  readonly TableName: string
  readonly AttributeDefinitions?: ReadonlyArray<AttributeDefinition> | undefined
  readonly BillingMode?: "PAY_PER_REQUEST" | "PROVISIONED" | undefined
  readonly ProvisionedThroughput?: Throughput | undefined
  readonly GlobalSecondaryIndexUpdates?: ReadonlyArray<Readonly<Record<string, unknown>>> | undefined
  /** One at a time. */
  readonly VectorIndexUpdates?:
    | ReadonlyArray<
      { readonly Create: VectorIndex } | { readonly Delete: { readonly IndexName: string } }
    >
    | undefined
  readonly StreamSpecification?: StreamSpecification | undefined
}
/** What a server says of a table. @category models @since 0.1.0 */
export interface TableDescription {
  readonly TableName: string
  readonly TableStatus: "CREATING" | "UPDATING" | "DELETING" | "ACTIVE" | (string & {})
  readonly KeySchema?: ReadonlyArray<KeySchemaElement>
  readonly AttributeDefinitions?: ReadonlyArray<AttributeDefinition>
  readonly TableArn?: string
  readonly TableId?: string
  /** Seconds since 1970. */
  readonly CreationDateTime?: number
  readonly LatestStreamArn?: string
  readonly LatestStreamLabel?: string
  readonly ItemCount?: number
  readonly TableSizeBytes?: number
  readonly GlobalSecondaryIndexes?: ReadonlyArray<Readonly<Record<string, unknown>>>
  readonly LocalSecondaryIndexes?: ReadonlyArray<Readonly<Record<string, unknown>>>
  readonly VectorIndexes?: ReadonlyArray<
    VectorIndex & { readonly IndexStatus?: "CREATING" | "ACTIVE" | (string & {}); readonly Backfilling?: boolean }
  >
  readonly [more: string]: unknown
}
/** A table by its name. @category models @since 0.1.0 */
export interface TableInput {
  readonly TableName: string
}
/** A page of names, by the last one of the page before. @category models @since 0.1.0 */
export interface ListTablesInput {
  readonly ExclusiveStartTableName?: string | undefined
  readonly Limit?: number | undefined
}
/** Names of tables, and where the next page starts. @category models @since 0.1.0 */
export interface ListTablesOutput {
  readonly TableNames: ReadonlyArray<string>
  readonly LastEvaluatedTableName?: string
}
/** The attribute that holds when an item expires, in seconds since 1970. @category models @since 0.1.0 */
export interface TimeToLiveSpecification {
  readonly AttributeName: string
  readonly Enabled: boolean
}
/** A table by its ARN, which `DescribeTable` says. @category models @since 0.1.0 */
export interface ResourceInput {
  readonly ResourceArn: string
}
/** A stream by its ARN, and a page of its shards. @category models @since 0.1.0 */
export interface StreamInput {
  readonly StreamArn: string
  readonly Limit?: number | undefined
  readonly ExclusiveStartShardId?: string | undefined
}
/** A part of a stream. @category models @since 0.1.0 */
export interface Shard {
  readonly ShardId: string
  readonly ParentShardId?: string
  readonly SequenceNumberRange?: { readonly StartingSequenceNumber?: string; readonly EndingSequenceNumber?: string }
}
/** A stream and a page of its shards. @category models @since 0.1.0 */
export interface StreamDescription {
  readonly StreamArn: string
  readonly StreamStatus: string
  readonly StreamViewType?: string
  readonly TableName?: string
  readonly KeySchema?: ReadonlyArray<KeySchemaElement>
  readonly Shards: ReadonlyArray<Shard>
  readonly LastEvaluatedShardId?: string
  readonly [more: string]: unknown
}
/** One change of an item. @category models @since 0.1.0 */
export interface StreamRecord {
  readonly eventID?: string
  readonly eventName?: "INSERT" | "MODIFY" | "REMOVE"
  readonly dynamodb?: {
    readonly Keys?: ReadItem
    readonly NewImage?: ReadItem
    readonly OldImage?: ReadItem
    readonly SequenceNumber?: string
    readonly ApproximateCreationDateTime?: number
    readonly StreamViewType?: string
    readonly SizeBytes?: number
  }
  readonly [more: string]: unknown
}

/**
 * All operations: what each takes and gives.
 *
 * @category models
 * @since 0.1.0
 */
export interface Operations {
  readonly GetItem: readonly [GetItemInput, GetItemOutput]
  readonly PutItem: readonly [PutItemInput, WriteOutput]
  readonly UpdateItem: readonly [UpdateItemInput, WriteOutput]
  readonly DeleteItem: readonly [DeleteItemInput, WriteOutput]
  readonly Query: readonly [QueryInput, Page]
  readonly Scan: readonly [ScanInput, Page]
  readonly BatchWriteItem: readonly [BatchWriteItemInput, BatchWriteItemOutput]
  readonly BatchGetItem: readonly [BatchGetItemInput, BatchGetItemOutput]
  readonly CreateTable: readonly [CreateTableInput, { readonly TableDescription: TableDescription }]
  readonly DescribeTable: readonly [TableInput, { readonly Table: TableDescription }]
  readonly UpdateTable: readonly [UpdateTableInput, { readonly TableDescription: TableDescription }]
  readonly DeleteTable: readonly [TableInput, { readonly TableDescription: TableDescription }]
  readonly ListTables: readonly [ListTablesInput, ListTablesOutput]
  readonly DescribeEndpoints: readonly [
    Readonly<Record<string, never>>,
    { readonly Endpoints: ReadonlyArray<{ readonly Address: string; readonly CachePeriodInMinutes: number }> }
  ]
  readonly TagResource: readonly [
    ResourceInput & { readonly Tags: ReadonlyArray<Tag> },
    Readonly<Record<string, never>>
  ]
  readonly UntagResource: readonly [
    ResourceInput & { readonly TagKeys: ReadonlyArray<string> },
    Readonly<Record<string, never>>
  ]
  readonly ListTagsOfResource: readonly [
    ResourceInput & { readonly NextToken?: string | undefined },
    { readonly Tags?: ReadonlyArray<Tag>; readonly NextToken?: string }
  ]
  readonly UpdateTimeToLive: readonly [
    TableInput & { readonly TimeToLiveSpecification: TimeToLiveSpecification },
    { readonly TimeToLiveSpecification: TimeToLiveSpecification }
  ]
  readonly DescribeTimeToLive: readonly [
    TableInput,
    { readonly TimeToLiveDescription: { readonly AttributeName?: string; readonly TimeToLiveStatus: string } }
  ]
  readonly DescribeContinuousBackups: readonly [TableInput, {
    readonly ContinuousBackupsDescription: Readonly<Record<string, unknown>>
  }]
  readonly ListStreams: readonly [
    {
      readonly TableName?: string | undefined
      readonly Limit?: number | undefined
      readonly ExclusiveStartStreamArn?: string | undefined
    },
    {
      readonly Streams: ReadonlyArray<
        { readonly StreamArn: string; readonly TableName?: string; readonly StreamLabel?: string }
      >
      readonly LastEvaluatedStreamArn?: string
    }
  ]
  readonly DescribeStream: readonly [StreamInput, { readonly StreamDescription: StreamDescription }]
  readonly GetShardIterator: readonly [
    {
      readonly StreamArn: string
      readonly ShardId: string
      readonly ShardIteratorType: "TRIM_HORIZON" | "LATEST" | "AT_SEQUENCE_NUMBER" | "AFTER_SEQUENCE_NUMBER"
      readonly SequenceNumber?: string | undefined
    },
    { readonly ShardIterator?: string }
  ]
  readonly GetRecords: readonly [
    { readonly ShardIterator: string; readonly Limit?: number | undefined },
    { readonly Records: ReadonlyArray<StreamRecord>; readonly NextShardIterator?: string }
  ]
}

/** The name of an operation. @category models @since 0.1.0 */
export type Operation = keyof Operations
/** What an operation takes. @category models @since 0.1.0 */
export type Input<Op extends Operation> = Operations[Op][0]
/** What an operation gives. @category models @since 0.1.0 */
export type Output<Op extends Operation> = Operations[Op][1]

/**
 * Their names.
 *
 * @category constants
 * @since 0.1.0
 */
export const names: ReadonlyArray<Operation> = Object.keys(
  {
    GetItem: 0,
    PutItem: 0,
    UpdateItem: 0,
    DeleteItem: 0,
    Query: 0,
    Scan: 0,
    BatchWriteItem: 0,
    BatchGetItem: 0,
    CreateTable: 0,
    DescribeTable: 0,
    UpdateTable: 0,
    DeleteTable: 0,
    ListTables: 0,
    DescribeEndpoints: 0,
    TagResource: 0,
    UntagResource: 0,
    ListTagsOfResource: 0,
    UpdateTimeToLive: 0,
    DescribeTimeToLive: 0,
    DescribeContinuousBackups: 0,
    ListStreams: 0,
    DescribeStream: 0,
    GetShardIterator: 0,
    GetRecords: 0
  } satisfies Record<Operation, 0>
) as Array<Operation>
