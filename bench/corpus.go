package main

import "strings"

// kind is a sort of span that some service makes.
type kind struct {
	name, service, address string
	port                   int
	pid                    int
	statements             int  // it runs up to so many SQL statements
	twice                  bool // each is noted twice, as the era E4 does; else once (E3)
	context                bool // the header names the request, as formats since Juno do
	digits                 int  // of a time's fraction: 6 from Python 2, 7 from Python 3
}

// The first kinds are what a request begins with.
const roots = 4

var kinds = []kind{
	{"WSGI", "osapi_compute", "10.0.0.11", 8774, 2000, 0, false, false, 6},
	{"WSGI", "glanceapi", "10.0.0.12", 9292, 2111, 1, false, false, 6},
	{"WSGI", "placement-api", "127.0.0.1", 8778, 25633, 3, true, true, 7},
	{"WSGI", "neutron-server", "10.0.0.13", 9696, 25701, 2, true, true, 7},
	{"middleware", "InjectContext", "ctl1", 0, 2000, 2, true, false, 6},
	{"WSGI", "keystone", "10.0.0.11", 35357, 2074, 2, false, false, 6},
	{"http", "glanceclient", "ctl1", 0, 2000, 0, false, false, 6},
	{"http", "registryclient", "img1", 0, 2111, 0, false, false, 6},
	{"WSGI", "glanceregistry", "10.0.0.12", 9191, 2148, 2, true, false, 6},
	{"foo", "get_all_types", "ctl1", 0, 2000, 1, false, false, 6},
	{"proxy", "rpcrun_instance", "cmp1", 1000, 2185, 1, false, false, 6},
	{"proxy", "rpcrun_instance", "cmp2", 1000, 2222, 1, false, false, 6},
	{"proxy", "rpcallocate_for_instance", "net1", 1000, 2259, 1, true, false, 6},
	{"rpc", "rpcbuild_and_run_instance", "compute1", 5672, 25810, 0, true, true, 7},
	{"rpc", "rpcbuild_and_run_instance", "compute2", 5672, 25811, 0, true, true, 7},
	{"http", "placement client", "controller", 8778, 25620, 0, true, true, 7},
}

// statements are the texts of SQL notes, as repr prints them.
var statements = []string{
	`'SELECT 1'`,
	`'SELECT token.id AS token_id, token.expires AS token_expires, token.extra AS token_extra, token.valid AS token_valid \nFROM token \nWHERE token.id = :id_1'`,
	`'SELECT user.id AS user_id, user.name AS user_name, user.extra AS user_extra \nFROM user \nWHERE user.id = :id_1\n LIMIT 1 OFFSET 0'`,
	`'SELECT traits.id, traits.name, traits.updated_at, traits.created_at \nFROM traits'`,
	`'SELECT quota_usages.id AS quota_usages_id, quota_usages.in_use AS quota_usages_in_use \nFROM quota_usages \nWHERE quota_usages.deleted = :deleted_1 AND quota_usages.project_id = :project_id_1 FOR UPDATE'`,
	`'SELECT p.id, p.external_id, p.updated_at, p.created_at \nFROM projects AS p \nWHERE p.external_id = :external_id_1'`,
	`"UPDATE instances SET updated_at=:updated_at, task_state='spawning', vm_state=:vm_state \nWHERE instances.id = :instances_id"`,
	`'INSERT INTO reservations (created_at, updated_at, deleted_at, deleted, uuid, usage_id, project_id, resource, delta, expire) VALUES (:created_at, :updated_at, :deleted_at, :deleted, :uuid, :usage_id, :project_id, :resource, :delta, :expire)'`,
	`'SELECT quotas.created_at AS quotas_created_at, quotas.updated_at AS quotas_updated_at, quotas.deleted_at AS quotas_deleted_at, quotas.deleted AS quotas_deleted, quotas.id AS quotas_id, quotas.project_id AS quotas_project_id, quotas.resource AS quotas_resource, quotas.hard_limit AS quotas_hard_limit \nFROM quotas \nWHERE quotas.project_id = :project_id_1 AND quotas.deleted = :deleted_1'`,
	`'SELECT a.id, a.resource_provider_id, rp.name AS resource_provider_name, rp.uuid AS resource_provider_uuid, rp.generation AS resource_provider_generation, a.resource_class_id, a.used, c.id AS consumer_id, c.generation AS consumer_generation, c.consumer_type_id, coalesce(c.uuid, a.consumer_id) AS consumer_uuid, p.id AS project_id, p.external_id AS project_external_id, u.id AS user_id, u.external_id AS user_external_id, a.created_at, a.updated_at \nFROM allocations AS a JOIN resource_providers AS rp ON a.resource_provider_id = rp.id JOIN consumers AS c ON a.consumer_id = c.uuid JOIN projects AS p ON c.project_id = p.id JOIN users AS u ON c.user_id = u.id \nWHERE a.consumer_id = :consumer_id_1'`,
	`'SELECT instance_types.created_at AS instance_types_created_at, instance_types.updated_at AS instance_types_updated_at, instance_types.deleted_at AS instance_types_deleted_at, instance_types.deleted AS instance_types_deleted, instance_types.name AS instance_types_name, instance_types.id AS instance_types_id, instance_types.memory_mb AS instance_types_memory_mb, instance_types.vcpus AS instance_types_vcpus, instance_types.root_gb AS instance_types_root_gb, instance_types.ephemeral_gb AS instance_types_ephemeral_gb, instance_types.flavorid AS instance_types_flavorid, instance_types.swap AS instance_types_swap, instance_types.rxtx_factor AS instance_types_rxtx_factor, instance_types.vcpu_weight AS instance_types_vcpu_weight, instance_types.disabled AS instance_types_disabled, instance_types.is_public AS instance_types_is_public \nFROM instance_types \nWHERE instance_types.deleted = :deleted_1 ORDER BY instance_types.name'`,
	`"database exception (OperationalError) (2006, 'MySQL server has gone away') 'SELECT 1' ()"`,
}

// remarks are what services note by themselves, and tags what they say of a span.
var remarks = []string{`'this is an annotation'`, `'allocated 10.1.0.208'`, `'caf\xc3\xa9'`, `"it's \"x\""`}

var tags = []string{`key='images', value=4`, `key='http.status', value='200'`, `key='load', value=1.1`,
	`key='cached', value=True`}

// chatter is all that services log beside spans: {u} a UUID, {h} 32 hexadecimal
// digits, {n} a number up to 9999, {b} one byte of an address.
var chatter = templates(
	`INFO nova.osapi_compute.wsgi.server [req-{u} {h} {h}] 10.0.0.{b} - - "GET /v2/{h}/servers/detail HTTP/1.1" 200 {n} 0.1{n}`,
	`DEBUG keystoneclient.middleware.auth_token [-] Authenticating user token __call__ /usr/lib/python2.7/site-packages/auth_token.py:{n}`,
	`DEBUG nova.openstack.common.rpc.amqp [-] Making asynchronous cast on compute.cmp{b}...`,
	`AUDIT nova.compute.resource_tracker [-] Free ram (MB): {n}`,
	`AUDIT nova.compute.resource_tracker [-] Free disk (GB): {n}`,
	`DEBUG nova.scheduler.host_manager [req-{u} None None] Host filter passes for cmp{b}`,
	`WARNING nova.scheduler.driver [-] [instance: {u}] Setting instance to ERROR state.`,
	`INFO glance.wsgi.server [{u} None None] 10.0.0.{b} - - "GET /v1/images/detail?limit=20 HTTP/1.1" 200 {n} 0.84{n}`,
	`DEBUG glance.registry.api.v1.images [-] Returning detailed image list, {n} of {n}`,
	`DEBUG nova.manager [-] Running periodic task ComputeManager._poll_rescued_instances periodic_tasks /usr/lib/python2.7/dist-packages/nova/manager.py:{n}`,
	`INFO neutron.wsgi [-] 10.0.0.{b} "GET /v2.0/ports.json?device_id={u} HTTP/1.1" status: 200 len: {n} time: 0.0{n}`,
	`DEBUG routes.middleware [-] Matched GET /{h}/servers/detail`,
	`DEBUG nova.compute.manager [-] [instance: {u}] Checking state _get_power_state /usr/lib/python2.7/dist-packages/nova/compute/manager.py:{n}`,
	`INFO tomograph.config [-] loading backend tomograph.backends.log`,
)

// traceback is a record over several lines, most of them without a header.
var traceback = templates(`ERROR nova.openstack.common.rpc.amqp [-] Exception during message handling
Traceback (most recent call last):
  File "/usr/lib/python2.7/dist-packages/nova/openstack/common/rpc/amqp.py", line {n}, in _process_data
    rval = self.proxy.dispatch(ctxt, version, method, **args)
InstanceNotFound: Instance {u} could not be found.`)[0]

// mention is a line that is no span though it looks like one.
var mention = templates(`DEBUG nova.api.openstack [-] the backend of tomograph printed Span(trace_id={n}, parent_id=None, id={n}, name='WSGI', notes=[], dimensions=[])`)[0]

// template is a text with gaps: texts[i], then gaps[i] if there is one.
type template struct {
	texts []string
	gaps  []byte
}

func templates(texts ...string) []template {
	all := make([]template, len(texts))
	for i, text := range texts {
		for {
			at := strings.IndexByte(text, '{')
			if at < 0 {
				break
			}
			all[i].texts = append(all[i].texts, text[:at])
			all[i].gaps = append(all[i].gaps, text[at+1])
			text = text[at+len("{x}"):]
		}
		all[i].texts = append(all[i].texts, text)
	}
	return all
}
