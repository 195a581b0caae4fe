package cluster
import ("testing";"time")
func TestScratchInstall(t *testing.T) {
	ctx, c := on(t)
	s:=time.Now()
	im, err := c.BuildImages(ctx, "")
	if err != nil { t.Fatal(err) }
	t.Logf("images %.1f", time.Since(s).Seconds())
	if err := c.Install(ctx, im); err != nil { t.Fatal(err) }
	t.Logf("installed %.1f", time.Since(s).Seconds())
}
