// The shop on gocql: `shop HOST PORT DATACENTER COPIES` prints what it read as one line of JSON.
package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/big"
	"net"
	"os"
	"sort"
	"strconv"
	"sync"
	"time"

	gocql "github.com/apache/cassandra-gocql-driver/v2"
	"gopkg.in/inf.v0"
)

const keyspace = "shop_go"

type address struct {
	Street string `cql:"street" json:"street"`
	Zip    int    `cql:"zip" json:"zip"`
}

// What is scanned of a row of `customer`; a tuple is so many values to gocql.
type customer struct {
	id      int
	name    string
	email   string
	tags    []string
	phones  map[string]string
	visits  []int
	home    address
	uid     gocql.UUID
	balance *inf.Dec
	born    time.Time
	at      time.Time
	photo   []byte
	big     *big.Int
	ok      bool
	score   float64
	number  int
	word    string
	ip      net.IP
}

func (c *customer) shown() map[string]any {
	return map[string]any{
		"id": c.id, "name": c.name, "email": c.email, "tags": c.tags, "phones": c.phones, "visits": c.visits, "home": c.home,
		"uid": c.uid.String(), "balance": c.balance.String(), "born": c.born.Format("2006-01-02"),
		"at": c.at.UTC().Format("2006-01-02T15:04:05.000Z"), "photo": hex.EncodeToString(c.photo), "big": c.big.String(),
		"ok": c.ok, "score": c.score, "pos": []any{c.number, c.word}, "ip": c.ip.String(),
	}
}

const columns = "id, name, email, tags, phones, visits, home, uid, balance, born, at, photo, big, ok, score, pos, ip"

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func main() {
	host, datacenter := os.Args[1], os.Args[3]
	port, err := strconv.Atoi(os.Args[2])
	check(err)
	copies := os.Args[4]
	ctx := context.Background()
	out := map[string]any{}

	config := func(keyspace string) *gocql.ClusterConfig {
		cluster := gocql.NewCluster(host)
		cluster.Port = port
		cluster.Keyspace = keyspace
		cluster.Consistency = gocql.LocalQuorum
		cluster.SerialConsistency = gocql.LocalSerial
		if login := os.Getenv("CQL_USERNAME"); login != "" {
			cluster.Authenticator = gocql.PasswordAuthenticator{Username: login, Password: os.Getenv("CQL_PASSWORD")}
		}
		cluster.PoolConfig.HostSelectionPolicy = gocql.TokenAwareHostPolicy(gocql.DCAwareRoundRobinPolicy(datacenter))
		return cluster
	}

	// The schema
	first, err := config("").CreateSession()
	check(err)
	check(first.Query("CREATE KEYSPACE " + keyspace +
		" WITH replication = {'class': 'NetworkTopologyStrategy', 'replication_factor': " + copies + "}").ExecContext(ctx))
	first.Close()
	session, err := config(keyspace).CreateSession()
	check(err)
	exec := func(statement string, values ...any) { check(session.Query(statement, values...).ExecContext(ctx)) }
	exec("CREATE TYPE address (street text, zip int)")
	exec(`CREATE TABLE customer (
		id int PRIMARY KEY, name text, email text, tags set<text>, phones map<text, text>, visits list<int>,
		home frozen<address>, uid uuid, balance decimal, born date, at timestamp, photo blob, big varint, ok boolean,
		score double, pos frozen<tuple<int, text>>, ip inet)`)
	exec(`CREATE TABLE event (source text, day int, seq int, note text static, payload text, PRIMARY KEY ((source, day), seq))
		WITH CLUSTERING ORDER BY (seq DESC)`)
	exec("CREATE TABLE hits (page text PRIMARY KEY, n counter)")
	exec("CREATE INDEX customer_email ON customer (email)")
	check(session.AwaitSchemaAgreement(ctx))

	// A row by literals, a row by markers: gocql prepares whatever has values
	exec("INSERT INTO customer (" + columns + `)
		VALUES (1, 'Bo', 'bo@example.com', {'y', 'x'}, {'home': '11'}, [2, 1], {street: 'Side 2', zip: 54321},
		00000000-0000-4000-8000-000000000001, -0.001, '1970-01-01', '1969-12-31T23:59:59.999Z', 0xCAFE, -1, false, -2.25,
		(1, 'one'), '::1')`)
	uid, err := gocql.ParseUUID("123e4567-e89b-42d3-a456-426614174000")
	check(err)
	exec("INSERT INTO customer ("+columns+") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, (?, ?), ?)",
		2, "Åsa", "asa@example.com", []string{"b", "a"}, map[string]string{"work": "2", "home": "1"}, []int{3, 1, 2},
		address{"Main 1", 12345}, uid, inf.NewDec(1250, 2), time.Date(1990, 5, 17, 0, 0, 0, 0, time.UTC),
		time.Date(2024, 2, 29, 12, 34, 56, 789e6, time.UTC), []byte{0, 255, 16}, new(big.Int).Lsh(big.NewInt(1), 80), true, 0.5,
		7, "x", net.ParseIP("10.0.0.1"))
	byID := func(id int) any {
		var c customer
		err := session.Query("SELECT "+columns+" FROM customer WHERE id = ?", id).ScanContext(ctx, &c.id, &c.name, &c.email, &c.tags,
			&c.phones, &c.visits, &c.home, &c.uid, &c.balance, &c.born, &c.at, &c.photo, &c.big, &c.ok, &c.score, &c.number, &c.word, &c.ip)
		if errors.Is(err, gocql.ErrNotFound) {
			return nil
		}
		check(err)
		return c.shown()
	}
	out["literal"], out["prepared"], out["nobody"] = byID(1), byID(2), byID(404)

	// Pages of a partition
	const insert = "INSERT INTO event (source, day, seq, payload) VALUES (?, ?, ?, ?)"
	var group sync.WaitGroup
	for worker := range 10 {
		group.Go(func() {
			for seq := worker; seq < 130; seq += 10 {
				exec(insert, "web", 1, seq, fmt.Sprintf("p%d", seq))
			}
		})
	}
	group.Wait()
	exec("UPDATE event SET note = ? WHERE source = ? AND day = ?", "busy", "web", 1)
	const paged = "SELECT seq, note, payload FROM event WHERE source = ? AND day = ?"
	rowsOf := func(iter *gocql.Iter) [][]any {
		rows := [][]any{}
		var seq int
		var note, payload string
		for iter.Scan(&seq, &note, &payload) {
			rows = append(rows, []any{seq, note, payload})
		}
		check(iter.Close())
		return rows
	}
	all := rowsOf(session.Query(paged, "web", 1).PageSize(40).IterContext(ctx))
	sizes, state, again := []int{}, []byte(nil), [][]any{}
	for {
		iter := session.Query(paged, "web", 1).PageSize(40).PageState(state).IterContext(ctx)
		sizes = append(sizes, iter.NumRows())
		state = bytes.Clone(iter.PageState())
		for range iter.NumRows() {
			var seq int
			var note, payload string
			iter.Scan(&seq, &note, &payload)
			again = append(again, []any{seq, note, payload})
		}
		check(iter.Close())
		if len(state) == 0 {
			break
		}
	}
	out["pages"] = map[string]any{"sizes": sizes, "first": all[0], "last": all[len(all)-1]}
	out["again"] = fmt.Sprint(again) == fmt.Sprint(all)
	slice := []int{}
	iter := session.Query("SELECT seq FROM event WHERE source = 'web' AND day = 1 AND seq > 10 AND seq <= 13 ORDER BY seq ASC").IterContext(ctx)
	for seq := 0; iter.Scan(&seq); {
		slice = append(slice, seq)
	}
	check(iter.Close())
	out["slice"] = slice

	// Batches and counters
	check(session.Batch(gocql.LoggedBatch).
		Query(insert, "web", 2, 1, "first").
		Query("INSERT INTO event (source, day, seq, payload) VALUES ('web', 2, 2, 'second')").
		Query("UPDATE event SET note = ? WHERE source = ? AND day = ?", "few", "web", 2).
		ExecContext(ctx))
	check(session.Batch(gocql.UnloggedBatch).
		Query(insert, "web", 2, 3, "later").
		Query(insert, "web", 2, 4, "later").
		ExecContext(ctx))
	out["batch"] = rowsOf(session.Query(paged, "web", 2).IterContext(ctx))
	const hit = "UPDATE hits SET n = n + ? WHERE page = ?"
	exec(hit, int64(5), "/")
	exec(hit, int64(-2), "/")
	check(session.Batch(gocql.CounterBatch).Query(hit, int64(1), "/").Query(hit, int64(10), "/about").ExecContext(ctx))
	counters := map[string]int64{}
	iter = session.Query("SELECT page, n FROM hits").IterContext(ctx)
	var page string
	var n int64
	for iter.Scan(&page, &n) {
		counters[page] = n
	}
	check(iter.Close())
	out["counters"] = counters

	// Conditions
	claims := [][]any{}
	for _, name := range []string{"Cy", "Di"} {
		row := map[string]any{}
		applied, err := session.Query("INSERT INTO customer (id, name) VALUES (?, ?) IF NOT EXISTS", 3, name).MapScanCASContext(ctx, row)
		check(err)
		if applied {
			claims = append(claims, []any{true, nil})
		} else {
			claims = append(claims, []any{false, []any{row["id"], row["name"]}})
		}
	}
	for _, old := range []string{"Al", "Cy"} {
		var name string
		applied, err := session.Query("UPDATE customer SET name = ? WHERE id = ? IF name = ?", "Ed", 3, old).ScanCASContext(ctx, &name)
		check(err)
		if applied {
			claims = append(claims, []any{true, nil})
		} else {
			claims = append(claims, []any{false, []any{name}})
		}
	}
	applied, err := session.Query("DELETE FROM customer WHERE id = 999 IF EXISTS").MapScanCASContext(ctx, map[string]any{})
	check(err)
	out["claims"] = append(claims, []any{applied, nil})

	// Many partitions, and the whole ring in parts
	many := [][]any{}
	iter = session.Query("SELECT id, name FROM customer WHERE id IN ?", []int{1, 2, 3, 404}).IterContext(ctx)
	var id int
	var name string
	for iter.Scan(&id, &name) {
		many = append(many, []any{id, name})
	}
	check(iter.Close())
	sort.Slice(many, func(i, j int) bool { return many[i][0].(int) < many[j][0].(int) })
	out["many"] = many
	for day := range 100 {
		exec(insert, "ring", day, 0, "r")
	}
	bounds := []int64{math.MinInt64, -(1 << 62), 0, 1 << 62, math.MaxInt64}
	parts, total := 0, 0
	for i := range len(bounds) - 1 {
		found := 0
		iter := session.Query("SELECT source, day FROM event WHERE token(source, day) > ? AND token(source, day) <= ?",
			bounds[i], bounds[i+1]).IterContext(ctx)
		var source string
		var day int
		for iter.Scan(&source, &day) {
			if source == "ring" {
				found++
			}
		}
		check(iter.Close())
		total += found
		if found > 0 {
			parts++
		}
	}
	out["ring"] = map[string]int{"parts": parts, "rows": total}

	// Changes in place
	exec("UPDATE customer SET tags = tags + {'c'}, phones['cell'] = '3', visits = visits + [4] WHERE id = 2")
	exec("UPDATE customer SET tags = tags - {'a'}, visits[0] = 9 WHERE id = 2")
	exec("DELETE phones['home'] FROM customer WHERE id = 2")
	var c customer
	check(session.Query("SELECT tags, phones, visits FROM customer WHERE id = 2").ScanContext(ctx, &c.tags, &c.phones, &c.visits))
	out["changed"] = map[string]any{"tags": c.tags, "phones": c.phones, "visits": c.visits}
	exec("INSERT INTO customer (id, name) VALUES (4, 'Flo') USING TTL 600 AND TIMESTAMP 1234567890123456")
	var left int
	var written int64
	check(session.Query("SELECT ttl(name) AS left, writetime(name) AS written FROM customer WHERE id = 4").ScanContext(ctx, &left, &written))
	out["lives"] = []any{590 <= left && left <= 600, written}
	exec("DELETE FROM event WHERE source = 'web' AND day = 1 AND seq >= 100")
	var count int64
	check(session.Query("SELECT count(*) FROM event WHERE source = 'web' AND day = 1").ScanContext(ctx, &count))
	out["left"] = count
	indexed := []int{}
	iter = session.Query("SELECT id FROM customer WHERE email = ?", "asa@example.com").IterContext(ctx)
	for iter.Scan(&id) {
		indexed = append(indexed, id)
	}
	check(iter.Close())
	out["indexed"] = indexed

	// What is refused
	refused := []string{}
	for _, statement := range []string{
		"SELECT * FROM nowhere", "SELECT FROM customer", "CREATE TABLE hits (page text PRIMARY KEY)",
		"SELECT nothing FROM customer", "SELECT * FROM event WHERE seq = 1",
	} {
		err := session.Query(statement).ExecContext(ctx)
		var exists *gocql.RequestErrAlreadyExists
		var said gocql.RequestError
		switch {
		case err == nil:
			refused = append(refused, "none")
		case errors.As(err, &exists):
			refused = append(refused, exists.Table+" exists")
		case errors.As(err, &said) && said.Code() == gocql.ErrCodeSyntax:
			refused = append(refused, "syntax")
		case errors.As(err, &said) && said.Code() == gocql.ErrCodeInvalid:
			refused = append(refused, "invalid")
		default:
			refused = append(refused, err.Error())
		}
	}
	out["errors"] = refused

	// Metadata, of a new session: those of one with changes are a second late
	late, err := config(keyspace).CreateSession()
	check(err)
	defer late.Close()
	metadata, err := late.KeyspaceMetadata(keyspace)
	check(err)
	tables := []string{}
	for name := range metadata.Tables {
		// It lists views among tables: of ScyllaDB, that of the index
		if metadata.MaterializedViews[name] == nil {
			tables = append(tables, name)
		}
	}
	sort.Strings(tables)
	event := metadata.Tables["event"]
	partition, clustering, static := []string{}, [][]string{}, []string{}
	for _, column := range event.PartitionKey {
		partition = append(partition, column.Name)
	}
	for _, column := range event.ClusteringColumns {
		order := "asc"
		if column.Order == gocql.DESC {
			order = "desc"
		}
		clustering = append(clustering, []string{column.Name, order})
	}
	for name, column := range event.Columns {
		if column.Kind == gocql.ColumnStatic {
			static = append(static, name)
		}
	}
	types := map[string]string{}
	for name, column := range metadata.Tables["customer"].Columns {
		types[name] = column.Validator
	}
	fields := []string{}
	for _, field := range metadata.UserTypes["address"].FieldTypes {
		fields = append(fields, map[gocql.Type]string{gocql.TypeText: "text", gocql.TypeInt: "int"}[field.Type()])
	}
	hosts := map[string]bool{}
	iter = session.Query("SELECT peer FROM system.peers").IterContext(ctx)
	for peer := ""; iter.Scan(&peer); {
		hosts[peer] = true
	}
	check(iter.Close())
	out["meta"] = map[string]any{
		"nodes": len(hosts) + 1, "tables": tables, "partition": partition, "clustering": clustering, "static": static,
		"columns": types, "type": []any{metadata.UserTypes["address"].FieldNames, fields},
	}
	var lines bytes.Buffer
	check(session.Query("SELECT name FROM customer WHERE id = 1").Trace(gocql.NewTraceWriter(session, &lines)).ExecContext(ctx))
	out["own"] = map[string]any{"traced": lines.Len() > 0}

	exec("DROP KEYSPACE " + keyspace)
	session.Close()
	encoder := json.NewEncoder(os.Stdout)
	encoder.SetEscapeHTML(false)
	check(encoder.Encode(out))
}
