package admin

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metricsHandler serves Prometheus's text format.
func metricsHandler(s Source) http.Handler {
	reg := prometheus.NewRegistry()
	reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), &collector{s})
	return promhttp.HandlerFor(reg, promhttp.HandlerOpts{})
}

// collector reads the counters when it is asked.
type collector struct{ s Source }

// Describe implements prometheus.Collector: unchecked, since server.Counters
// says what there is.
func (c *collector) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	send := func(name, help string, kind prometheus.ValueType, value float64) {
		ch <- prometheus.MustNewConstMetric(prometheus.NewDesc("pamir_"+name, help, nil, nil), kind, value)
	}
	send("node_ready", "1 while the node takes new sessions.", prometheus.GaugeValue, truth(c.s.Ready() && !c.s.Draining()))
	for _, m := range c.s.Counters().Metrics() {
		kind := prometheus.CounterValue
		if m.Gauge {
			kind = prometheus.GaugeValue
		}
		send(m.Name, m.Help, kind, m.Value)
	}
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
