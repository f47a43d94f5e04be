/** Names of a client's options. `Options` has the compiler see to it that none is missing. */
export const NAMES = {
  contactPoints: true,
  port: true,
  addressTranslator: true,
  clientRoutes: true,
  localDatacenter: true,
  keyspace: true,
  username: true,
  password: true,
  allowedAuthenticators: true,
  authenticator: true,
  onMissingChallenge: true,
  clusterName: true,
  tls: true,
  connections: true,
  reconnect: true,
  maxInFlight: true,
  adaptive: true,
  maxWaiting: true,
  localRack: true,
  replicas: true,
  balancing: true,
  datacenterFailover: true,
  hostFilter: true,
  retry: true,
  retryBudget: true,
  speculation: true,
  speculationLimit: true,
  profiles: true,
  tablets: true,
  schema: true,
  schemaKeyspaces: true,
  slowRequests: true,
  pagingSecret: true,
  consistency: true,
  serialConsistency: true,
  requestTimeout: true,
  schemaTimeout: true,
  attemptTimeout: true,
  waitForCluster: true,
  schemaAgreementTimeout: true,
  refreshInterval: true,
  connectTimeout: true,
  handshakeTimeout: true,
  heartbeatInterval: true,
  shutdownTimeout: true,
  pageSize: true,
  maxRows: true,
  timestamps: true,
  codec: true,
  maxPrepared: true,
  maxPreparedBytes: true,
  prepareEverywhere: true,
  shardAwarePort: true,
  localPorts: true,
  protocolVersion: true,
  compression: true,
  applicationName: true,
  applicationVersion: true,
  clientId: true
}

const letters = (name: string): string => name.toLowerCase().replaceAll(/[^a-z]/g, "")

/** What is no option, with the name that was meant where it can be told: other drivers write some with other capitals. */
export const unknownIn = (
  given: object,
  names: object
): ReadonlyArray<{ readonly path: string; readonly message: string }> =>
  Object.entries(given).filter(([name, value]) => value !== undefined && !Object.hasOwn(names, name)).map(([path]) => {
    const meant = Object.keys(names).find((name) => letters(name) === letters(path))
    return {
      path,
      message: `there is no option of this name${meant === undefined ? "" : `: ${meant} is meant, perhaps`}`
    }
  })
