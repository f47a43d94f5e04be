/**
 * Simulated clusters and launchers of real servers, for tests.
 *
 * @since 0.1.0
 */
export * as CassandraServer from "./CassandraServer.ts"
export * as FaultProxy from "./FaultProxy.ts"
export * as MemoryTransport from "./MemoryTransport.ts"
export * as Ports from "./Ports.ts"
export * as Priming from "./Priming.ts"
export * as Recorder from "./Recorder.ts"
export * as ScyllaContainer from "./ScyllaContainer.ts"
export * as SimulatedCluster from "./SimulatedCluster.ts"
export * as SimulatedServer from "./SimulatedServer.ts"
export * as TestServer from "./TestServer.ts"
