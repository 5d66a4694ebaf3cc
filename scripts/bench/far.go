package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"path/filepath"
	"strings"
	"time"

	"ittybit-media/handlers/env"
)

// far puts the services behind TLS and a wait for every new connection: what a
// cold function pays for in a region, and a warm one does not. Round trips of
// requests are free.
func (w *world) far(connect time.Duration) (map[string]string, error) {
	certificate, pemFile, err := w.certificate()
	if err != nil {
		return nil, err
	}
	vars := map[string]string{"SSL_CERT_FILE": pemFile}
	local := w.FunctionEnv("dispatch")
	// Each service has a host of its own, as in AWS: none shares another's
	// connections.
	for name, url := range map[string]string{
		"AWS_ENDPOINT_URL_DYNAMODB":        local["AWS_ENDPOINT_URL"],
		"AWS_ENDPOINT_URL_SECRETS_MANAGER": local["AWS_ENDPOINT_URL"],
		env.IttybitAPIURL:                  local[env.IttybitAPIURL],
	} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		w.stops = append(w.stops, func() { _ = l.Close() })
		service := strings.TrimPrefix(url, "http://")
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				go func() {
					time.Sleep(connect)
					pipe(tls.Server(c, &tls.Config{Certificates: []tls.Certificate{certificate}}), service)
				}()
			}
		}()
		vars[name] = "https://" + l.Addr().String()
	}
	return vars, nil
}

// pipe connects a connection with a service until either ends.
func pipe(c net.Conn, service string) {
	defer func() { _ = c.Close() }()
	s, err := net.Dial("tcp", service)
	if err != nil {
		return
	}
	go func() {
		_, _ = io.Copy(s, c)
		_ = s.Close()
	}()
	_, _ = io.Copy(c, s)
}

// certificate is one for loopback, and the file by which functions know it.
func (w *world) certificate() (tls.Certificate, string, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, "", err
	}
	template := x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, key.Public(), key)
	if err != nil {
		return tls.Certificate{}, "", err
	}
	file := filepath.Join(w.dir, "certificate.pem")
	err = writeFile(file, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, file, err
}
