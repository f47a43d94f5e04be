import { type ClusterAdapter, LeaderBelief } from "@effect-scylla/raft-client"
import { assert, describe, it } from "@effect/vitest"

const members = (ids: ReadonlyArray<number>): ReadonlyArray<ClusterAdapter.Member> =>
  ids.map((id) => ({ id: String(id), address: `n${id}:1`, voter: true }))

const claim = (
  id: number,
  leader: number | undefined,
  more: Partial<ClusterAdapter.Claim> = {}
): ClusterAdapter.Claim => ({
  address: `n${id}:1`,
  self: String(id),
  leader: leader === undefined ? undefined : String(leader),
  selfClaim: false,
  term: undefined,
  members: members([1, 2, 3]),
  version: 0n,
  cluster: undefined,
  ...more
})

const leads = (id: number, term: bigint): ClusterAdapter.Claim => claim(id, id, { selfClaim: true, term })

const candidate = (id: number, term: bigint | undefined): LeaderBelief.Candidate => ({
  id: String(id),
  address: `n${id}:1`,
  selfClaim: true,
  reachable: true,
  term,
  witnesses: 0
})

describe("rank", () => {
  const order = (claims: ReadonlyArray<ClusterAdapter.Claim>, ignored?: (address: string) => boolean) =>
    LeaderBelief.rank(claims, members([1, 2, 3]), ignored).map(({ id }) => id)

  it("puts the higher term first, whatever came first", () => {
    assert.deepStrictEqual(order([leads(1, 5n), leads(2, 6n)]), ["2", "1"])
    assert.deepStrictEqual(order([leads(2, 6n), leads(1, 5n)]), ["2", "1"])
  })

  it("puts one's own word before that of others", () => {
    assert.deepStrictEqual(order([claim(1, 3), claim(2, 2, { selfClaim: true, term: 1n }), claim(3, 3)]), ["2", "3"])
  })

  it("leaves out who answers and does not name itself", () => {
    assert.deepStrictEqual(order([claim(1, 2), claim(2, undefined), claim(3, 2)]), [])
    assert.deepStrictEqual(order([claim(1, 2), claim(2, 3)]), ["3"])
  })

  it("does not take others' word for a node that did not answer lately, but its own", () => {
    const one = (address: string) => address === "n1:1"
    assert.deepStrictEqual(order([claim(2, 1), claim(3, 1)], one), [])
    assert.deepStrictEqual(order([claim(2, 1), claim(3, 1)]), ["1"])
    assert.deepStrictEqual(order([leads(1, 2n), claim(3, 1)], one), ["1"])
  })

  it("leaves out strangers and learners", () => {
    const learner = [...members([1, 2]), { id: "3", address: "n3:1", voter: false }]
    assert.deepStrictEqual(LeaderBelief.rank([claim(1, 9), leads(3, 2n)], learner), [])
  })
})

describe("membershipOf", () => {
  const ids = (claims: ReadonlyArray<ClusterAdapter.Claim>, known?: ReadonlyArray<ClusterAdapter.Member>) =>
    LeaderBelief.membershipOf(claims, known)?.map(({ id }) => id).join()

  it("takes the newest version, then the majority, then what was known", () => {
    const two = { members: members([1, 2]) }
    assert.strictEqual(ids([claim(1, 1), claim(2, 1, two), claim(3, 1, two)]), "1,2")
    assert.strictEqual(ids([claim(1, 1, { version: 2n }), claim(2, 1, two), claim(3, 1, two)]), "1,2,3")
    assert.strictEqual(ids([claim(1, 1), claim(2, 1, two)], members([1, 2])), "1,2")
    assert.strictEqual(ids([claim(1, 1), claim(2, 1, two)], members([1, 2, 3])), "1,2,3")
    assert.isUndefined(ids([claim(1, 1, { members: [] })]))
  })

  it("takes a member's own word for its address", () => {
    const [one, , three] = members([1, 2, 3])
    const own = claim(2, 1, {
      address: "public:2",
      members: [one!, { id: "2", address: "public:2", voter: true }, three!]
    })
    const found = LeaderBelief.membershipOf([claim(1, 1), own, claim(3, 1)])
    assert.strictEqual(found?.find(({ id }) => id === "2")?.address, "public:2")
  })
})

describe("Belief", () => {
  it("a confirmation counts for half an election, and answers of the leader prolong it", () => {
    const belief = new LeaderBelief.Belief(500)
    assert.isFalse(belief.isFresh(0))
    belief.confirm(candidate(1, 2n), 1_000)
    assert.isTrue(belief.isFresh(1_250))
    assert.isFalse(belief.isFresh(1_251))
    belief.proved(belief.leader!.epoch, 1_200)
    assert.isTrue(belief.isFresh(1_450))
    // What was sent before counts from then, and what an older leader has answered not at all.
    belief.proved(belief.leader!.epoch, 900)
    belief.proved(belief.leader!.epoch - 1, 2_000)
    assert.isFalse(belief.isFresh(1_451))
  })

  it("a lower term opens a new period, a higher one does not", () => {
    const belief = new LeaderBelief.Belief(500)
    belief.confirm(candidate(1, 15n), 0)
    assert.isTrue(belief.confirm(candidate(2, 16n), 1))
    assert.strictEqual(belief.leader?.period, 0)
    assert.isTrue(belief.confirm(candidate(3, 7n), 2))
    assert.strictEqual(belief.leader?.period, 1)
    assert.isFalse(belief.confirm(candidate(3, 7n), 3))
    assert.strictEqual(belief.leader?.epoch, 3)
  })

  it("a doubt about an earlier leader changes nothing", () => {
    const belief = new LeaderBelief.Belief(500)
    belief.confirm(candidate(1, 1n), 0)
    const { epoch } = belief.leader!
    belief.confirm(candidate(2, 2n), 1)
    assert.isFalse(belief.doubt(epoch))
    assert.strictEqual(belief.leader?.id, "2")
    assert.isTrue(belief.doubt(epoch + 1))
    assert.isUndefined(belief.leader)
    assert.isFalse(belief.isFresh(1))
  })

  it("a node is ignored for an election's time, or until it is confirmed", () => {
    const belief = new LeaderBelief.Belief(500)
    belief.ignore("n1:1", 0)
    assert.isTrue(belief.isIgnored("n1:1", 499))
    assert.isFalse(belief.isIgnored("n1:1", 500))
    belief.confirm(candidate(1, 1n), 100)
    assert.isFalse(belief.isIgnored("n1:1", 101))
  })
})
