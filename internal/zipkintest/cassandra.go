package zipkintest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// CassandraVersion is the version of Cassandra that is started; those before 5
// do not run on Java 17.
const CassandraVersion = "5.0.6"

const cassandraPOM = `<project xmlns="http://maven.apache.org/POM/4.0.0">
<modelVersion>4.0.0</modelVersion>
<groupId>test</groupId><artifactId>cassandra</artifactId><version>1</version><packaging>pom</packaging>
<dependencies><dependency>
<groupId>org.apache.cassandra</groupId><artifactId>cassandra-all</artifactId><version>` + CassandraVersion + `</version>
</dependency></dependencies>
</project>
`

// Zipkin's schema needs SASI indexes.
const cassandraYAML = `cluster_name: test
num_tokens: 1
partitioner: org.apache.cassandra.dht.Murmur3Partitioner
commitlog_sync: periodic
commitlog_sync_period: 10000ms
listen_address: 127.0.0.1
storage_port: %[1]d
rpc_address: 127.0.0.1
start_native_transport: true
native_transport_port: %[2]d
endpoint_snitch: SimpleSnitch
seed_provider:
  - class_name: org.apache.cassandra.locator.SimpleSeedProvider
    parameters: [{seeds: "127.0.0.1:%[1]d"}]
sasi_indexes_enabled: true
`

// What Cassandra uses of Java's own modules.
var (
	cassandraExports = strings.Fields(`java.base/jdk.internal.misc java.base/jdk.internal.ref java.base/sun.nio.ch
		java.management.rmi/com.sun.jmx.remote.internal.rmi java.rmi/sun.rmi.registry java.rmi/sun.rmi.server java.sql/java.sql`)
	cassandraOpens = strings.Fields(`java.base/java.lang java.base/java.lang.module java.base/java.lang.reflect java.base/java.io
		java.base/java.util java.base/java.util.concurrent java.base/java.util.concurrent.atomic java.base/java.nio
		java.base/sun.nio.ch java.base/jdk.internal.loader java.base/jdk.internal.ref java.base/jdk.internal.reflect
		java.base/jdk.internal.math java.base/jdk.internal.module java.base/jdk.internal.util.jar
		jdk.management/com.sun.management.internal`)
)

// Cassandra is a running Cassandra of one node.
type Cassandra struct {
	address string
	*process
}

// StartCassandra starts a Cassandra that lives until the test and its subtests
// end, and returns when it is ready. It needs 1 GB of memory.
func StartCassandra(t testing.TB) *Cassandra {
	t.Helper()
	name := "cassandra-" + CassandraVersion
	jars := fetch(t, name, cassandraPOM, "dependency:copy-dependencies", "-DincludeScope=runtime",
		"-DoutputDirectory="+name)
	var err error
	for range attempts {
		var c *Cassandra
		if c, err = startCassandra(t, jars); err == nil {
			return c
		}
	}
	t.Fatalf("Cassandra does not start: %v", err)
	return nil
}

func startCassandra(t testing.TB, jars string) (*Cassandra, error) {
	t.Helper()
	ports, err := freePorts(2)
	if err != nil {
		return nil, err
	}
	dir := t.TempDir()
	config := filepath.Join(dir, "cassandra.yaml")
	if err := os.WriteFile(config, fmt.Appendf(nil, cassandraYAML, ports[0], ports[1]), 0o644); err != nil {
		return nil, err
	}
	args := []string{"java", "-Xms512m", "-Xmx512m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC",
		"-Dcassandra.config=file://" + config, "-Dcassandra.storagedir=" + dir, "-Dcassandra-foreground=yes",
		"-Dcassandra.ring_delay_ms=1", "-Dcassandra.skip_wait_for_gossip_to_settle=0", // there are no others
		"-Djdk.attach.allowAttachSelf=true", "-Dio.netty.tryReflectionSetAccessible=true"}
	for _, module := range cassandraExports {
		args = append(args, "--add-exports", module+"=ALL-UNNAMED")
	}
	for _, module := range cassandraOpens {
		args = append(args, "--add-opens", module+"=ALL-UNNAMED")
	}
	args = append(args, "-cp", filepath.Join(jars, "*"), "org.apache.cassandra.service.CassandraDaemon")
	c := &Cassandra{address: net.JoinHostPort("127.0.0.1", strconv.Itoa(ports[1]))}
	c.process, err = launch(t, "cassandra", args, nil, func() bool {
		return c.Exec("SELECT key FROM system.local") == nil
	})
	return c, err
}

// Env makes a Zipkin started with it keep its spans in c.
func (c *Cassandra) Env() []string {
	return []string{"STORAGE_TYPE=cassandra3", "CASSANDRA_CONTACT_POINTS=" + c.address,
		"CASSANDRA_LOCAL_DC=datacenter1",
		// Else it waits a second for each of the statements that make its tables.
		"JAVA_TOOL_OPTIONS=-Ddatastax-java-driver.advanced.metadata.schema.debouncer.window=1ms"}
}

// Stop kills Cassandra.
func (c *Cassandra) Stop() { c.stop() }

// Exec executes a CQL statement and forgets what it gives.
func (c *Cassandra) Exec(statement string) error {
	conn, err := net.Dial("tcp", c.address)
	if err != nil {
		return err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(time.Minute))
	const startup, query = 1, 7
	if err := ask(conn, startup, []byte("\x00\x01\x00\x0bCQL_VERSION\x00\x053.0.0")); err != nil {
		return err
	}
	body := binary.BigEndian.AppendUint32(nil, uint32(len(statement)))
	body = append(body, statement...)
	return ask(conn, query, append(body, 0, 1, 0)) // of consistency ONE, without flags
}

// ask sends a request of Cassandra's native protocol, version 4, and takes the
// answer: https://cassandra.apache.org/doc/latest/cassandra/reference/native-protocol.html.
func ask(conn net.Conn, opcode byte, body []byte) error {
	request := binary.BigEndian.AppendUint32([]byte{4, 0, 0, 0, opcode}, uint32(len(body)))
	if _, err := conn.Write(append(request, body...)); err != nil {
		return err
	}
	var header [9]byte
	if _, err := io.ReadFull(conn, header[:]); err != nil {
		return err
	}
	answer := make([]byte, binary.BigEndian.Uint32(header[5:]))
	if _, err := io.ReadFull(conn, answer); err != nil {
		return err
	}
	if header[4] == 0 { // an error: its code, the length of its text, the text
		return errors.New(string(answer[min(6, len(answer)):]))
	}
	return nil
}
